#include "solvers/bilevel/aimed_pairs.h"

#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "core/error.h"
#include "solvers/bilevel/lower_level.h"
#include "solvers/bilevel/vector_ops.h"
#include "tests/solvers/dense_problem.h"

namespace deq::test {
namespace {

constexpr int kSize = 40;

/// A quadratic whose Hessian has eigenvalues from 0.05 to 5, with a memory that never saw a step.
struct Quadratic {
  Quadratic() : hessian(symmetric_matrix(eigenvalues(), 1)), problem(hessian, normals(kSize, 2), normals(kSize, 3), w) {
    problem.inner(w, lambda, slope);
  }
  static Numbers eigenvalues() {
    Numbers out;
    for (int i = 0; i < kSize; ++i) out.push_back(0.05 * std::pow(100.0, i / (kSize - 1.0)));
    return out;
  }
  AimReport aim(int pairs) { return aim_pairs(problem, w, lambda, slope, v, {.pairs = pairs}, memory, q); }
  Numbers w = normals(kSize, 4), v = normals(kSize, 5), lambda{0.3}, slope = Numbers(kSize), q = Numbers(kSize),
          hessian;
  QuadraticProblem problem;
  QuasiNewtonMemory memory{kSize, 2 * kSize};
};

TEST_CASE("Aimed pairs bring B^-1 v to H^-1 v and say how far they are") {
  double previous = 1.0;
  for (const int pairs : {3, 10, 20, 30}) {
    Quadratic at;
    const AimReport report = at.aim(pairs);
    CHECK(report.taken == pairs);
    CHECK(report.gradients() == pairs);
    CHECK(at.memory.pairs() == pairs);
    const Numbers exact = solve_dense(at.hessian, at.v);
    Numbers shared(kSize), left = times(at.hessian, at.q);
    at.memory.apply(at.v, shared);
    add_scaled(-1.0, at.v, left);
    const double error = relative_error(shared, exact);
    MESSAGE(pairs << " pairs: B^-1 v errs by " << error << ", q by " << relative_error(at.q, exact));
    CHECK(error < 0.6 * previous);
    CHECK(report.residual == doctest::Approx(norm(left) / norm(at.v)).epsilon(1e-3));
    previous = error;
  }
  CHECK(previous < 1e-3);
}

TEST_CASE("Without pairs q is B^-1 v, and a refused direction ends the aim") {
  Quadratic at;
  const AimReport none = at.aim(0);
  CHECK(none.gradients() == 0);
  CHECK(std::isnan(none.residual));
  CHECK(at.q == at.v);  // the memory is empty: B is the identity

  QuadraticProblem bent({-1.0}, {1.0}, {1.0}, {0.0});
  QuasiNewtonMemory memory(1, 3);
  Numbers q(1), slope(1);
  const Numbers w{0.5}, v{2.0}, lambda{0.0};
  bent.inner(w, lambda, slope);
  const AimReport refused = aim_pairs(bent, w, lambda, slope, v, {.pairs = 3}, memory, q);
  CHECK(refused.is_refused);
  CHECK(refused.taken == 0);
  CHECK(refused.gradients() == 1);
  CHECK(q == v);
  CHECK_THROWS_AS(at.aim(-1), Error);
  CHECK_THROWS_AS(aim_pairs(bent, w, lambda, slope, v, {.pairs = 1, .scale = 0.0}, memory, q), Error);
}

TEST_CASE("Final pairs stay in the memory, leave w where it is and are counted") {
  DenseProblem problem(random_rows(80, 20, 0.05, 1, 3), random_rows(60, 20, 0.05, 2, 3), Loss::logistic, false);
  const auto solve = [&problem](int final_pairs, Numbers& w) {
    QuasiNewtonMemory memory(20, 100);
    const OuterAwareness awareness{.period = 1000, .of = AwareOf::outer_parameter, .final_pairs = final_pairs};
    w = normals(20, 4);
    const InnerReport report =
        minimise_lbfgs(problem, Numbers{0.0}, w, memory, {.tolerance = 1e-3, .awareness = awareness});
    CHECK(report.extra_pairs == final_pairs);
    CHECK(memory.pairs() == report.iterations + final_pairs);
    return report;
  };
  Numbers plain, aimed;
  const InnerReport without = solve(0, plain), with = solve(4, aimed);
  CHECK(plain == aimed);
  CHECK(with.residual == without.residual);
  // One gradient finds v = d grad r / d lambda.
  CHECK(with.count.inner_gradients == without.count.inner_gradients + 5);

  DenseProblem many(random_rows(30, 5, 0.0, 1, 3), random_rows(30, 5, 0.0, 2, 3), Loss::logistic, false, true);
  QuasiNewtonMemory memory(5, 4);
  Numbers w(5, 0.0);
  const OuterAwareness awareness{.of = AwareOf::outer_parameter};
  CHECK_THROWS_AS(minimise_lbfgs(many, Numbers(5, 0.0), w, memory, {.awareness = awareness}), Error);
}

/// Errors of a method's hypergradients along a path of lambda, with the tolerances of its own run.
Numbers errors_along_path(std::string_view method, bool is_per_feature, std::uint64_t seed) {
  constexpr int kFeatures = 200, kPoints = 16;
  DenseProblem problem(random_rows(150, kFeatures, 1.0 / 80.0, 10 * seed + 1, 10 * seed + 3),
                       random_rows(80, kFeatures, 1.0 / 80.0, 10 * seed + 2, 10 * seed + 3), Loss::logistic, false,
                       is_per_feature);
  const MethodPreset preset = *method_preset(method);
  Numbers w = normals(kFeatures, seed), q(kFeatures, 0.0), slope(kFeatures), errors;
  const std::unique_ptr<LowerLevel> level = make_lower_level(problem, {.method = preset}, w);
  Numbers lambda(problem.outer_size(), 0.0), gradient(lambda.size()), exact(lambda.size());
  problem.inner(w, lambda, slope);
  double tolerance = 1e-3;
  for (int k = 1; k < kPoints; ++k, tolerance *= preset.tolerance_factor) {
    LowerRequest request{.lambda = lambda, .outer = k, .points = kPoints, .tolerance = tolerance};
    request.inner_tolerance = tolerance * norm(slope);
    level->solve(request, w, gradient);
    estimate_hypergradient(problem, {.w = w, .lambda = lambda},
                           ExactAdjoint{.solver = {.tolerance = 1e-10, .max_iterations = 2000}}, q, exact);
    errors.push_back(relative_error(gradient, exact));
    for (double& value : lambda) value -= 0.4;
  }
  return errors;
}

TEST_CASE("Outer awareness makes SHINE's hypergradients several times as exact") {
  Numbers plain, aware;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const Numbers shine = errors_along_path("shine", false, seed), opa = errors_along_path("shine-opa", false, seed);
    CHECK(median(opa) < median(shine));
    plain.insert(plain.end(), shine.begin(), shine.end());
    aware.insert(aware.end(), opa.begin(), opa.end());
  }
  MESSAGE("one penalty: shine " << median(plain) << ", shine-opa " << median(aware));
  CHECK(median(aware) < 0.5 * median(plain));
  const double many = median(errors_along_path("shine", true, 0)),
               many_aware = median(errors_along_path("shine-opa", true, 0));
  MESSAGE("one penalty a feature: shine " << many << ", shine-opa " << many_aware);
  CHECK(many_aware < many);
}

}  // namespace
}  // namespace deq::test
