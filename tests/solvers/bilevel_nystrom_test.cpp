#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "solvers/bilevel/lbfgs.h"
#include "solvers/bilevel/nystrom.h"
#include "solvers/bilevel/vector_ops.h"
#include "tests/solvers/dense_problem.h"

namespace deq::test {
namespace {

/// The quadratic problem whose Hessian is `a`.
QuadraticProblem with_hessian(Numbers a, std::int64_t size) {
  return {std::move(a), Numbers(size, 0.0), Numbers(size, 1.0), Numbers(size, 0.0)};
}

Numbers inverse_times(QuadraticProblem& problem, const Numbers& v, const NystromAdjoint& options) {
  const Numbers w(v.size(), 0.0), lambda{0.0};
  EvaluationCount count;
  const NystromInverse inverse(problem, {.w = w, .lambda = lambda}, options, count);
  CHECK(count.hessian_products == std::min<std::int64_t>(options.columns, static_cast<std::int64_t>(v.size())));
  Numbers out(v.size());
  inverse.apply(v, out);
  return out;
}

/// (A + shift I)^-1 v.
Numbers shifted_solve(Numbers a, double shift, const Numbers& v) {
  for (std::size_t i = 0; i < v.size(); ++i) a[i * v.size() + i] += shift;
  return solve_dense(std::move(a), v);
}

TEST_CASE("Nystrom is exact when it has all columns or as many as H has rank") {
  Numbers eigenvalues;
  for (int i = 0; i < 60; ++i) eigenvalues.push_back(std::pow(10.0, -2.0 * i / 59.0));
  const Numbers full = symmetric_matrix(eigenvalues, 1), v = normals(60, 2);
  QuadraticProblem whole = with_hessian(full, 60);
  CHECK(relative_error(inverse_times(whole, v, {.columns = 60, .damping = 0.1}), shifted_solve(full, 0.1, v)) < 1e-9);

  std::fill(eigenvalues.begin() + 5, eigenvalues.end(), 0.0);
  const Numbers low = symmetric_matrix(eigenvalues, 3);
  QuadraticProblem ranked = with_hessian(low, 60);
  const Numbers expected = shifted_solve(low, 0.1, v);
  CHECK(relative_error(inverse_times(ranked, v, {.columns = 5, .damping = 0.1}), expected) < 1e-9);
  // More columns than rank make the small system singular, which the pivoted solve takes in its stride.
  CHECK(relative_error(inverse_times(ranked, v, {.columns = 9, .damping = 0.1}), expected) < 1e-6);
}

TEST_CASE("Nystrom stays bounded on an indefinite H, where conjugate gradients stop and a Neumann series explodes") {
  constexpr int kSize = 300;
  Numbers lengths, unbounded;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    Numbers eigenvalues = normals(kSize, 40 + seed);
    scale(0.02, eigenvalues);
    for (int i = 0; i < 8; ++i) eigenvalues[i] = 5.0 + i;
    QuadraticProblem problem = with_hessian(symmetric_matrix(eigenvalues, seed), kSize);
    const Numbers v = normals(kSize, 50 + seed);
    for (std::uint64_t draw = 0; draw < 20; ++draw) {
      NystromAdjoint options{.columns = 20, .damping = 0.1, .seed = draw};
      lengths.push_back(norm(inverse_times(problem, v, options)) / norm(v));
      options.max_gain = 0.0;
      unbounded.push_back(norm(inverse_times(problem, v, options)) / norm(v));
    }

    const auto product = [&](ConstVector x, Vector out) { problem.hessian_product(x, x, x, out); };
    Numbers q(kSize, 0.0);
    CHECK(solve_conjugate_gradient(product, v, q, {}).status == AdjointStatus::negative_curvature);
    Numbers series = v, image(kSize);
    for (int k = 0; k < 4000; ++k) {  // x <- x + 0.05 (v - H x)
      problem.hessian_product(series, series, series, image);
      for (int i = 0; i < kSize; ++i) series[i] += 0.05 * (v[i] - image[i]);
    }
    CHECK(norm(series) / norm(v) > 100.0);
  }
  // The bound reported in related-systems section 2 is 32. Without one, how near a draw comes to a zero of H + damping
  // is luck.
  const double largest = *std::max_element(lengths.begin(), lengths.end());
  MESSAGE("|x| / |v|: median " << median(lengths) << ", largest " << largest << ", without bound "
                               << *std::max_element(unbounded.begin(), unbounded.end()));
  CHECK(largest <= 30.0 * (1.0 + 1e-6));
  CHECK(*std::max_element(unbounded.begin(), unbounded.end()) > 32.0);
}

TEST_CASE("The bound of Nystrom changes what is out of bounds alone") {
  constexpr int kSize = 8;
  const Numbers eigenvalues{4.0, 2.0, 1.0, 0.5, -0.02, -0.099, -0.101, -0.5};
  const Numbers a = symmetric_matrix(eigenvalues, 7);
  QuadraticProblem problem = with_hessian(a, kSize);
  const NystromAdjoint all{.columns = kSize, .damping = 0.1, .max_gain = 3.0};
  // With all columns the inverse is that of A + 0.1, whose small eigenvalues are now +-0.1 / 3.
  Numbers bounded;
  for (const double each : eigenvalues) {
    const double shifted = each + 0.1;
    bounded.push_back(std::copysign(std::max(std::abs(shifted), 0.1 / 3.0), shifted));
  }
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    const Numbers v = normals(kSize, seed);
    CHECK(relative_error(inverse_times(problem, v, all), solve_dense(symmetric_matrix(bounded, 7), v)) < 1e-9);
    CHECK(relative_error(inverse_times(problem, v, {.columns = kSize, .damping = 0.1, .max_gain = 0.0}),
                         shifted_solve(a, 0.1, v)) < 1e-9);
  }
}

/// Logistic regression with one penalty a weight, 500 + 500 rows of 100 features.
struct Demo {
  Demo()
      : problem(random_rows(500, 100, 0.0, 1, 3, 0.1), random_rows(500, 100, 0.0, 2, 3, 0.1), Loss::logistic, true,
                true) {
    QuasiNewtonMemory memory(100, 20);
    minimise_lbfgs(problem, lambda, w, memory, {.tolerance = 1e-10});
    exact = gradient(ExactAdjoint{.solver = {.tolerance = 1e-14}});
  }
  Numbers gradient(const HypergradientMethod& method) {
    Numbers q(100, 0.0), out(100);
    estimate_hypergradient(problem, {.w = w, .lambda = lambda}, method, q, out);
    return out;
  }
  DenseProblem problem;
  Numbers lambda = Numbers(100, 0.0), w = Numbers(100, 0.0), exact;
};

TEST_CASE("On a well-conditioned problem a few products of conjugate gradients beat Nystrom") {
  Demo demo;
  const auto error = [&](int products) {
    return relative_error(demo.gradient(ExactAdjoint{.solver = {.tolerance = 0.0, .max_iterations = products}}),
                          demo.exact);
  };
  CHECK(error(5) < 1e-4);
  CHECK(error(10) < 1e-8);
}

TEST_CASE("Damping below the floor of H gives steps far too long, and the known diagonal mends it") {
  Demo demo;
  const auto median_error = [&](int columns, bool uses_diagonal) {
    Numbers errors;
    for (std::uint64_t seed = 0; seed < 5; ++seed)
      errors.push_back(relative_error(
          demo.gradient(NystromAdjoint{.columns = columns, .uses_diagonal = uses_diagonal, .seed = seed}), demo.exact));
    return median(errors);
  };
  const double published = median_error(5, false);
  const Numbers direction = demo.gradient(NystromAdjoint{.columns = 5, .uses_diagonal = false});
  MESSAGE("published form: error " << published << ", cosine " << cosine(direction, demo.exact));
  CHECK(published > 3.0);
  CHECK(cosine(direction, demo.exact) > 0.9);
  double previous = 0.3;
  for (const int columns : {5, 20, 50}) {
    const double error = median_error(columns, true);
    MESSAGE(columns << " columns with the known diagonal: error " << error);
    CHECK(error < previous);
    previous = error;
  }
  CHECK(median_error(100, true) < 1e-9);
}

TEST_CASE("Each estimate of a run draws columns of its own, and the same ones when it is repeated") {
  Demo demo;
  const auto at_draw = [&](std::uint64_t draw) {
    Numbers q(100), out(100);
    estimate_hypergradient(demo.problem, {.w = demo.w, .lambda = demo.lambda, .draw = draw}, NystromAdjoint{}, q, out);
    return out;
  };
  CHECK(at_draw(1) == at_draw(1));
  CHECK(at_draw(1) != at_draw(2));
  CHECK_THROWS_AS(demo.gradient(NystromAdjoint{.columns = 0}), Error);
}

}  // namespace
}  // namespace deq::test
