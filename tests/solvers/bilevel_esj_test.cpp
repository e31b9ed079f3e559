#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "solvers/bilevel/esj.h"
#include "solvers/bilevel/unrolled.h"
#include "solvers/bilevel/vector_ops.h"
#include "tests/solvers/dense_problem.h"

namespace deq::test {
namespace {

constexpr int kSize = 20;    // of w and of lambda
constexpr int kSteps = 100;  // of gradient descent in an inner run
constexpr double kRate = 1.0;

QuadraticProblem make_problem() {
  Numbers eigenvalues;
  for (int i = 0; i < kSize; ++i) eigenvalues.push_back(0.1 + 0.9 * i / (kSize - 1));
  return {symmetric_matrix(eigenvalues, 1), normals(kSize, 2), normals(kSize * kSize, 3), normals(kSize, 4)};
}

/// Gradient descent on a problem of its own.
InnerRun make_run() {
  return [problem = std::make_shared<QuadraticProblem>(make_problem())](ConstVector lambda, Vector w) {
    Numbers gradient(w.size());
    for (int t = 0; t < kSteps; ++t) {
      problem->inner(w, lambda, gradient);
      add_scaled(-kRate, gradient, w);
    }
  };
}

struct Estimate {
  Numbers gradient = Numbers(kSize), w = normals(kSize, 5);
  EsjReport report;
};

Estimate estimate(const EsjOptions& options) {
  Estimate made;
  QuadraticProblem problem = make_problem();
  made.report = estimate_esj(problem, make_run, normals(kSize, 6), made.w, options, made.gradient);
  return made;
}

/// The exact gradient of what the run does.
Numbers unrolled_gradient() {
  QuadraticProblem problem = make_problem();
  Numbers w = normals(kSize, 5), q(kSize), gradient(kSize);
  differentiate_unrolled(problem, normals(kSize, 6), w, {.steps = kSteps, .step = kRate}, q, gradient);
  return gradient;
}

TEST_CASE("As many orthogonal directions as hyper-parameters make the estimate exact") {
  const Numbers exact = unrolled_gradient();
  for (const int directions : {kSize, 3 * kSize}) {
    const Estimate made = estimate({.directions = directions});
    CHECK(relative_error(made.gradient, exact) <
          7e-5);  // the run is linear in lambda: rounding over the radius is left
    CHECK(made.report.runs == kSize + 1);
  }
}

TEST_CASE("The error of independent directions falls as the square root of their number") {
  const Numbers exact = unrolled_gradient();
  double least = 0.0;  // cosine; 0.21, 0.60, 0.92 and 0.993 are reported
  for (const int directions : {1, 10, 100, 1000}) {
    Numbers errors, cosines;
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
      const Numbers made =
          estimate({.directions = directions, .kind = ProbeDirections::independent, .seed = seed}).gradient;
      errors.push_back(relative_error(made, exact));
      cosines.push_back(cosine(made, exact));
    }
    CHECK(median(cosines) > least);
    least = median(cosines);
    const double expected = std::sqrt((kSize + 1.0) / directions);
    MESSAGE(directions << " directions: error " << median(errors) << ", theory " << expected);
    CHECK(median(errors) < 1.5 * expected);
    CHECK(median(errors) > expected / 2.0);
  }
  CHECK(least > 0.98);
}

TEST_CASE("Fewer orthogonal directions than hyper-parameters are scaled, so that their mean is right") {
  const Numbers exact = unrolled_gradient();
  Numbers mean(kSize, 0.0);
  for (std::uint64_t draw = 0; draw < 200; ++draw)
    add_scaled(1.0 / 200.0, estimate({.directions = 5, .threads = 1, .draw = draw}).gradient, mean);
  // One draw errs by sqrt(20 / 5 - 1) = 1.7, so the mean of 200 by 0.12.
  CHECK(relative_error(mean, exact) < 0.2);
}

TEST_CASE("Bits do not depend on threads, and the end of the run at lambda is handed back") {
  const Estimate one = estimate({.directions = 7, .threads = 1}), three = estimate({.directions = 7, .threads = 3});
  CHECK(one.gradient == three.gradient);
  CHECK(one.w == three.w);
  Numbers w = normals(kSize, 5);
  make_run()(normals(kSize, 6), w);
  CHECK(one.w == w);
}

/// F after `steps` of descent from the same start; `estimate` makes a gradient and moves w.
template <class Estimate>
double descend(int steps, const Estimate& estimate) {
  QuadraticProblem problem = make_problem();
  Numbers lambda = normals(kSize, 6), w = normals(kSize, 5), gradient(kSize);
  double last = 0.0;
  for (int step = 0; step <= steps; ++step) {
    last = estimate(problem, lambda, w, step, gradient);
    add_scaled(-2e-4, gradient, lambda);
  }
  return last;
}

TEST_CASE("Descent on the estimate goes as descent on exact gradients goes") {
  const auto esj = [](BilevelProblem& problem, const Numbers& lambda, Numbers& w, int step, Numbers& gradient) {
    const EsjOptions options{.directions = kSize, .threads = 1, .draw = static_cast<std::uint64_t>(step)};
    return estimate_esj(problem, make_run, lambda, w, options, gradient).outer_value;
  };
  const auto unrolled = [](BilevelProblem& problem, const Numbers& lambda, Numbers& w, int, Numbers& gradient) {
    Numbers q(kSize);
    return differentiate_unrolled(problem, lambda, w, {.steps = kSteps, .step = kRate}, q, gradient).outer_value;
  };
  constexpr int kDescent = 300;
  const double first = descend(0, unrolled), exact = descend(kDescent, unrolled);
  const double orthogonal = descend(kDescent, esj);
  MESSAGE("F from " << first << " to " << exact << " exactly and " << orthogonal << " on the estimate");
  CHECK(exact < 0.3 * first);
  CHECK(orthogonal == doctest::Approx(exact).epsilon(1e-3));
}

TEST_CASE("Runs that end in infinity are left out and counted, runs that throw throw") {
  QuadraticProblem problem = make_problem();
  Numbers w = normals(kSize, 5), gradient(kSize);
  const Numbers lambda(kSize, 0.0);
  const InnerRunFactory breaks = [] {
    return [](ConstVector at, Vector out) { out[0] = at[0] > 0.0 ? std::numeric_limits<double>::infinity() : 1.0; };
  };
  const EsjReport report = estimate_esj(problem, breaks, lambda, w, {.directions = 12}, gradient);
  CHECK(report.nonfinite > 0);
  CHECK(report.nonfinite < 12);
  CHECK(std::isfinite(norm(gradient)));
  const InnerRunFactory throws = [] { return [](ConstVector, Vector) { throw Error("inner run: broken"); }; };
  CHECK_THROWS_AS(estimate_esj(problem, throws, lambda, w, {.directions = 4, .threads = 2}, gradient), Error);
  CHECK_THROWS_AS(estimate_esj(problem, make_run, lambda, w, {.radius = 0.0}, gradient), Error);
}

TEST_CASE("One hyper-parameter needs one direction") {
  QuadraticProblem problem({2.0}, {1.0}, {3.0}, {0.5});
  Numbers w{0.0}, gradient(1);
  const InnerRunFactory exact = [] { return [](ConstVector at, Vector out) { out[0] = (1.0 + 3.0 * at[0]) / 2.0; }; };
  estimate_esj(problem, exact, Numbers{0.7}, w, {}, gradient);
  CHECK(gradient[0] == doctest::Approx(1.5 * (1.55 - 0.5)).epsilon(1e-10));
}

}  // namespace
}  // namespace deq::test
