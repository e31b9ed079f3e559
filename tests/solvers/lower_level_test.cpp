#include "solvers/bilevel/lower_level.h"

#include <doctest/doctest.h>

#include "tests/solvers/dense_problem.h"

namespace deq::test {
namespace {

constexpr int kSize = 12;

/// A quadratic at its stationary point; with eigenvalues of both signs that is a saddle.
struct AtRest {
  explicit AtRest(const Numbers& eigenvalues)
      : hessian(symmetric_matrix(eigenvalues, 1)),
        slope(normals(kSize, 2)),
        w(solve_dense(hessian, slope)),
        problem(hessian, slope, normals(kSize, 3), normals(kSize, 4)) {}

  /// Two hypergradients of HOAG at the same point, the first from q = 0.
  std::vector<LowerReport> solve_twice() {
    const Numbers none(kSize);
    const auto level = make_lower_level(problem, {.method = *method_preset("hoag")}, none);
    std::vector<LowerReport> out;
    for (Numbers& gradient : gradients)
      out.push_back(level->solve({.lambda = lambda, .tolerance = 1e-9, .inner_tolerance = 1e-6}, w, gradient));
    return out;
  }

  Numbers hessian, slope, w, lambda{0.0};
  Numbers gradients[2] = {Numbers(1), Numbers(1)};
  QuadraticProblem problem;
};

Numbers spread(double first) {
  Numbers out{first};
  for (int i = 1; i < kSize; ++i) out.push_back(i);
  return out;
}

}  // namespace

TEST_CASE("HOAG goes on from the last q") {
  AtRest at(spread(0.5));
  const auto reports = at.solve_twice();
  CHECK(reports[0].adjoint_status == AdjointStatus::converged);
  CHECK(reports[0].adjoint_steps > 5);
  CHECK(reports[1].adjoint_steps == 0);
}

TEST_CASE("HOAG does not go on from a q that has met negative curvature") {
  AtRest at(spread(-0.5));
  const auto reports = at.solve_twice();
  CHECK(reports[0].iterations == 0);
  CHECK(reports[0].adjoint_status == AdjointStatus::negative_curvature);
  CHECK(reports[1].adjoint_steps == reports[0].adjoint_steps);
  CHECK(at.gradients[1] == at.gradients[0]);
}

TEST_CASE("Differences of whole runs resolve the move of lambda, however loose the inner tolerance is") {
  // At the solution of its lambda no run has to move for the tolerance alone: the hypergradient would be zero.
  AtRest at(spread(0.5));
  const double exact = [&] {
    at.solve_twice();
    return at.gradients[1][0];
  }();
  const LowerOptions options{.method = *method_preset("esj-1"),
                             .make_problem = [&] { return std::make_unique<QuadraticProblem>(at.problem); }};
  const auto level = make_lower_level(at.problem, options, at.w);
  Numbers gradient(1);
  for (int outer = 1; outer <= 2; ++outer) {
    const LowerReport report =
        level->solve({.lambda = at.lambda, .outer = outer, .tolerance = 1e-3, .inner_tolerance = 1e3}, at.w, gradient);
    CHECK(report.adjoint_status == AdjointStatus::converged);
    CHECK(gradient[0] == doctest::Approx(exact).epsilon(0.02));
  }
}

}  // namespace deq::test
