#include <doctest/doctest.h>

#include <cmath>

#include "core/error.h"
#include "solvers/bilevel/hypergradient.h"
#include "solvers/bilevel/lbfgs.h"
#include "solvers/bilevel/unrolled.h"
#include "solvers/bilevel/vector_ops.h"
#include "tests/solvers/dense_problem.h"

namespace deq::test {
namespace {

constexpr ExactAdjoint kExact{.solver = {.tolerance = 1e-13, .max_iterations = 2000}};

/// A problem solved by L-BFGS, and its hypergradient by any method.
struct Solved {
  Solved(BilevelProblem& of, Numbers at, double tolerance, int capacity, std::uint64_t seed = 4,
         std::optional<OuterAwareness> awareness = {}, InitialInverse initial = InitialInverse::identity)
      : problem(of),
        lambda(std::move(at)),
        w(normals(of.inner_size(), seed)),
        memory(of.inner_size(), capacity, initial) {
    report = minimise_lbfgs(problem, lambda, w, memory, {.tolerance = tolerance, .awareness = awareness});
  }
  Numbers gradient(const HypergradientMethod& method) {
    Numbers out(lambda.size());
    q.assign(w.size(), 0.0);
    last = estimate_hypergradient(problem, {.w = w, .lambda = lambda, .memory = &memory}, method, q, out);
    return out;
  }
  BilevelProblem& problem;
  Numbers lambda, w, q;
  QuasiNewtonMemory memory;
  InnerReport report;
  HypergradientReport last;
};

DenseProblem logistic(bool is_per_feature) {
  return {random_rows(60, 8, 0.05, 1, 3), random_rows(40, 8, 0.05, 2, 3), Loss::logistic, false, is_per_feature};
}

TEST_CASE("The exact hypergradient has the sign and value of central differences") {
  for (const bool is_per_feature : {false, true}) {
    DenseProblem problem = logistic(is_per_feature);
    Solved solved(problem, Numbers(is_per_feature ? 8 : 1, 0.3), 1e-11, 20);
    const Numbers exact = solved.gradient(kExact);
    CHECK(solved.last.status == AdjointStatus::converged);
    CHECK(measure_residual(problem, {.w = solved.w, .lambda = solved.lambda}, solved.q) < 1e-12);
    Numbers differences(exact.size());
    EvaluationCount count;
    difference_hypergradient(problem, solved.w, solved.lambda, 1e-4, 1e-11, differences, count);
    CHECK(relative_error(exact, differences) < 1e-6);
    CHECK(count.outer_gradients == 2 * static_cast<std::int64_t>(exact.size()));
  }
}

TEST_CASE("The exact hypergradient of a quadratic is its closed form") {
  const Numbers a = symmetric_matrix({0.5, 1.0, 2.0, 4.0}, 2), b = normals(4, 5), c = normals(8, 6),
                target = normals(4, 7);
  QuadraticProblem problem(a, b, c, target);
  Solved solved(problem, {0.2, -0.4}, 1e-12, 10);
  // F = |A^-1 (b + C lambda) - target|^2 / 2, so dF/dlambda = C^T A^-1 (w - target).
  Numbers right = times(c, solved.lambda);
  add_scaled(1.0, b, right);
  Numbers slope = solve_dense(a, right);
  add_scaled(-1.0, target, slope);
  const Numbers adjoint = solve_dense(a, slope);
  Numbers expected(2, 0.0);
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 2; ++j) expected[j] += c[i * 2 + j] * adjoint[i];
  CHECK(relative_error(solved.gradient(kExact), expected) < 1e-10);
}

TEST_CASE("Shared, refined and Jacobian-free hypergradients do what their names say and count it") {
  DenseProblem problem = logistic(false);
  Solved solved(problem, {0.0}, 1e-6, 30);
  const Numbers exact = solved.gradient(kExact);
  Numbers c(8), unused(1), shared(8);
  problem.outer(solved.w, solved.lambda, c, unused);
  solved.memory.apply(c, shared);

  const double shine = relative_error(solved.gradient(SharedInverse{}), exact);
  CHECK(solved.q == shared);
  CHECK(solved.last.count == EvaluationCount{.cross_products = 1, .outer_gradients = 1});
  CHECK(solved.last.status == AdjointStatus::direct);
  const double jacobian_free = relative_error(solved.gradient(JacobianFree{}), exact);
  CHECK(solved.q == c);
  CHECK(shine < 0.2 * jacobian_free);
  solved.gradient(SharedInverse{.max_gain = 1e-9});
  CHECK(solved.last.is_fallback);
  CHECK(solved.q == c);

  const double refined = relative_error(solved.gradient(RefinedByCg{.solver = {.max_iterations = 3}}), exact);
  CHECK(refined < shine);
  CHECK(solved.last.count.hessian_products == 4);
  solved.gradient(RefinedByCg{.solver = {.max_iterations = 0}});
  CHECK(solved.q == shared);
  CHECK(solved.last.count.hessian_products == 0);

  const double probed = relative_error(solved.gradient(RefinedByProbes{.probes = 3}), exact);
  CHECK(probed < shine);
  CHECK(solved.last.count == EvaluationCount{.inner_gradients = 4, .cross_products = 1, .outer_gradients = 1});
  // The memory that was handed in is as it was.
  Numbers after(8);
  solved.memory.apply(c, after);
  CHECK(after == shared);

  Numbers gradient(1), q(8);
  CHECK_THROWS_AS(
      estimate_hypergradient(problem, {.w = solved.w, .lambda = solved.lambda}, SharedInverse{}, q, gradient), Error);
}

TEST_CASE("Outer-aware pairs drive B^-1 v to H^-1 v as they come closer and the tolerance falls") {
  const auto median_error = [](int period, double tolerance) {
    Numbers errors;
    for (std::uint64_t seed = 0; seed < 15; ++seed) {
      DenseProblem problem(random_rows(80, 20, 0.05, 3 * seed, 100 + seed),
                           random_rows(60, 20, 0.05, 3 * seed + 1, 100 + seed), Loss::logistic, false);
      std::optional<OuterAwareness> awareness;
      if (period > 0) awareness = OuterAwareness{.period = period};
      Solved solved(problem, {0.0}, tolerance, 500, 400 + seed, awareness);
      CHECK(solved.report.status == SolveStatus::converged);
      solved.gradient(kExact);
      const Numbers exact = solved.q;
      solved.gradient(SharedInverse{});
      errors.push_back(relative_error(solved.q, exact));
    }
    return median(errors);
  };
  double previous = 1.0;
  for (const int period : {0, 10, 5, 2, 1}) {  // 0: none
    const double error = median_error(period, 1e-6);
    MESSAGE("period " << period << ": median error " << error);
    CHECK(error < previous);
    previous = error;
  }
  previous = 1.0;
  for (const double tolerance : {1e-2, 1e-4, 1e-6, 1e-8}) {
    const double error = median_error(2, tolerance);
    MESSAGE("tolerance " << tolerance << ": median error " << error);
    CHECK(error < previous);
    previous = error;
  }
}

TEST_CASE("Extra steps of summable length help as well") {
  DenseProblem problem = logistic(false);
  Solved without(problem, {0.0}, 1e-8, 100);
  Solved with(problem, {0.0}, 1e-8, 100, 4,
              OuterAwareness{.period = 1, .step = ExtraStep::summable, .first_scale = 0.1});
  CHECK(with.report.extra_pairs > 3);
  const auto error = [](Solved& solved) {
    solved.gradient(kExact);
    const Numbers exact = solved.q;
    solved.gradient(SharedInverse{});
    return relative_error(solved.q, exact);
  };
  CHECK(error(with) < error(without));
}

TEST_CASE("An unrolled run is differentiated exactly, and cut short it loses little") {
  DenseProblem problem = logistic(true);
  const Numbers start = normals(8, 9);
  const Numbers lambda(8, 0.2);
  const UnrolledAdjoint method{.steps = 15, .depth = 0, .step = 0.02};
  const auto end_value = [&](const Numbers& at) {
    Numbers w = start, q(8), gradient(8);
    return differentiate_unrolled(problem, at, w, method, q, gradient).outer_value;
  };
  Numbers w = start, q(8), gradient(8), differences(8);
  const HypergradientReport report = differentiate_unrolled(problem, lambda, w, method, q, gradient);
  CHECK(report.count ==
        EvaluationCount{.inner_gradients = 15, .hessian_products = 14, .cross_products = 15, .outer_gradients = 1});
  for (std::size_t i = 0; i < 8; ++i) {
    Numbers above = lambda, below = lambda;
    above[i] += 1e-5;
    below[i] -= 1e-5;
    differences[i] = (end_value(above) - end_value(below)) / 2e-5;
  }
  CHECK(relative_error(gradient, differences) < 1e-7);

  // At the solution: the truncated Neumann series, and with enough steps the exact hypergradient.
  Solved solved(problem, lambda, 1e-11, 20);
  const Numbers exact = solved.gradient(kExact);
  CHECK(relative_error(solved.gradient(UnrolledAdjoint{.steps = 2000}), exact) < 1e-6);
  const double deep = relative_error(solved.gradient(UnrolledAdjoint{.steps = 40, .depth = 40}), exact);
  const double shallow = relative_error(solved.gradient(UnrolledAdjoint{.steps = 40, .depth = 2}), exact);
  CHECK(deep < shallow);
  CHECK(shallow < 1.0);
}

TEST_CASE("Problems of one inner and one outer variable work with each method") {
  QuadraticProblem problem({2.0}, {1.0}, {3.0}, {0.5});
  problem.know_diagonal(1.5);
  Solved solved(problem, {0.7}, 1e-12, 3);
  CHECK(solved.report.status == SolveStatus::converged);
  CHECK(solved.w[0] == doctest::Approx((1.0 + 2.1) / 2.0).epsilon(1e-12));
  const double expected = 1.5 * ((1.0 + 2.1) / 2.0 - 0.5);
  const std::vector<HypergradientMethod> exact_ones{
      kExact, SharedInverse{}, RefinedByCg{}, RefinedByProbes{}, NystromAdjoint{}, UnrolledAdjoint{.steps = 60}};
  for (const HypergradientMethod& method : exact_ones) {
    CAPTURE(name_of(method));
    // Probes measure the curvature by a difference over 1e-4: eight digits.
    CHECK(solved.gradient(method)[0] == doctest::Approx(expected).epsilon(1e-7));
  }
  CHECK(solved.gradient(JacobianFree{})[0] == doctest::Approx(2.0 * expected).epsilon(1e-9));
}

TEST_CASE("Negative curvature met by the adjoint solve is a status and never a silent zero") {
  const Numbers a = symmetric_matrix({-1.0, -2.0, -3.0}, 1);
  QuadraticProblem problem(a, normals(3, 2), normals(3, 3), normals(3, 4));
  QuasiNewtonMemory memory(3, 2);
  const Numbers w = normals(3, 5), lambda{0.0};
  Numbers q(3, 0.0), gradient(1);
  const HypergradientReport report =
      estimate_hypergradient(problem, {.w = w, .lambda = lambda, .memory = &memory}, kExact, q, gradient);
  CHECK(report.status == AdjointStatus::negative_curvature);
  CHECK(report.residual == doctest::Approx(1.0));
  const HypergradientReport probed =
      estimate_hypergradient(problem, {.w = w, .lambda = lambda, .memory = &memory}, RefinedByProbes{}, q, gradient);
  CHECK(probed.status == AdjointStatus::negative_curvature);
  CHECK(norm(q) > 0.0);
}

}  // namespace
}  // namespace deq::test
