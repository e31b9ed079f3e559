#include <doctest/doctest.h>
#include <omp.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "solvers/bilevel/conjugate_gradient.h"
#include "solvers/bilevel/lbfgs.h"
#include "solvers/bilevel/pivoted_lu.h"
#include "solvers/bilevel/vector_ops.h"
#include "tests/solvers/dense_problem.h"

namespace deq::test {
namespace {

/// B+ = B + (a s^T + s a^T) / r - (a^T y) / r^2 s s^T with a = s - B y, r = s^T y.
Numbers sum_form(Numbers b, const Numbers& s, const Numbers& y) {
  const std::size_t n = s.size();
  const Numbers b_y = times(b, y);
  Numbers a(n);
  combine(s, -1.0, b_y, a);
  const double r = dot(s, y), along = dot(a, y) / (r * r);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) b[i * n + j] += (a[i] * s[j] + s[i] * a[j]) / r - along * s[i] * s[j];
  return b;
}

/// B+ = (I - s y^T / r) B (I - y s^T / r) + s s^T / r.
Numbers product_form(const Numbers& b, const Numbers& s, const Numbers& y) {
  const std::size_t n = s.size();
  const double r = dot(s, y);
  Numbers left(n * n, 0.0), out(n * n, 0.0), middle(n * n, 0.0);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) left[i * n + j] = (i == j ? 1.0 : 0.0) - s[i] * y[j] / r;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t k = 0; k < n; ++k)
      for (std::size_t j = 0; j < n; ++j) middle[i * n + j] += left[i * n + k] * b[k * n + j];
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t k = 0; k < n; ++k) out[i * n + j] += middle[i * n + k] * left[j * n + k];
      out[i * n + j] += s[i] * s[j] / r;
    }
  return out;
}

Numbers identity(std::size_t n) {
  Numbers b(n * n, 0.0);
  for (std::size_t i = 0; i < n; ++i) b[i * n + i] = 1.0;
  return b;
}

/// Pairs (s, A s) of a positive definite A [12, 12] with eigenvalues from 0.1 to 10.
struct Pairs {
  explicit Pairs(int count) {
    Numbers eigenvalues;
    for (int i = 0; i < 12; ++i) eigenvalues.push_back(std::pow(10.0, -1.0 + 2.0 * i / 11.0));
    const Numbers a = symmetric_matrix(eigenvalues, 5);
    for (int i = 0; i < count; ++i) {
      s.push_back(normals(12, 100 + static_cast<std::uint64_t>(i)));
      y.push_back(times(a, s.back()));
    }
  }
  std::vector<Numbers> s, y;
};

TEST_CASE("The two forms of the inverse BFGS update agree and meet the secant condition") {
  const Pairs pairs(6);
  Numbers sum = identity(12), product = identity(12);
  for (std::size_t i = 0; i < pairs.s.size(); ++i) {
    sum = sum_form(sum, pairs.s[i], pairs.y[i]);
    product = product_form(product, pairs.s[i], pairs.y[i]);
    CHECK(relative_error(sum, product) < 1e-14);
    CHECK(relative_error(times(sum, pairs.y[i]), pairs.s[i]) < 1e-14);
  }
}

TEST_CASE("The two-loop recursion equals the dense recursion over the newest pairs") {
  const Pairs pairs(9);
  for (const int capacity : {1, 4, 9}) {
    QuasiNewtonMemory memory(12, capacity);
    for (std::size_t i = 0; i < 9; ++i) CHECK(memory.push(pairs.s[i], pairs.y[i]));
    CHECK(memory.pairs() == capacity);
    CHECK(memory.rank()[0] == 2 * capacity);
    Numbers dense = identity(12);
    for (std::size_t i = 9 - static_cast<std::size_t>(capacity); i < 9; ++i)
      dense = sum_form(dense, pairs.s[i], pairs.y[i]);
    const Numbers x = normals(12, 7);
    Numbers out(12);
    memory.apply(x, out);
    CHECK(relative_error(out, times(dense, x)) < 1e-10);
    // The same through the interface of inverse estimates; the transpose is the estimate itself.
    Numbers at = x, transposed(12);
    const InverseEstimate& estimate = memory;
    estimate.apply_transpose({at.data()}, {transposed.data()});
    CHECK(transposed == out);
  }
}

TEST_CASE("A scaled first matrix multiplies the identity of the recursion by s^T y / y^T y of the newest pair") {
  const Pairs pairs(3);
  QuasiNewtonMemory memory(12, 3, InitialInverse::scaled);
  for (std::size_t i = 0; i < 3; ++i) memory.push(pairs.s[i], pairs.y[i]);
  Numbers dense = identity(12);
  scale(dot(pairs.s[2], pairs.y[2]) / dot(pairs.y[2], pairs.y[2]), dense);
  for (std::size_t i = 0; i < 3; ++i) dense = sum_form(dense, pairs.s[i], pairs.y[i]);
  const Numbers x = normals(12, 8);
  Numbers out(12);
  memory.apply(x, out);
  CHECK(relative_error(out, times(dense, x)) < 1e-10);
}

TEST_CASE("Products between pushes, a memory that grows and one that drops pairs agree with a fresh memory") {
  const Pairs pairs(9);
  const Numbers x = normals(12, 7);
  Numbers out(12), expected(12);
  QuasiNewtonMemory memory(12, 3);
  const auto compare = [&](std::size_t first, std::size_t last, int capacity) {
    QuasiNewtonMemory fresh(12, capacity);
    for (std::size_t i = first; i < last; ++i) fresh.push(pairs.s[i], pairs.y[i]);
    memory.apply(x, out);
    fresh.apply(x, expected);
    CHECK(relative_error(out, expected) < 1e-12);
  };
  for (std::size_t i = 0; i < 3; ++i) {
    memory.push(pairs.s[i], pairs.y[i]);
    compare(0, i + 1, 3);
  }
  memory.push(pairs.s[3], pairs.y[3]);
  memory.push(pairs.s[4], pairs.y[4]);
  compare(2, 5, 3);
  memory.grow(5);
  compare(2, 5, 3);
  for (std::size_t i = 5; i < 9; ++i) memory.push(pairs.s[i], pairs.y[i]);
  compare(4, 9, 5);
  memory.clear();
  memory.push(pairs.s[8], pairs.y[8]);
  compare(8, 9, 5);
}

TEST_CASE("Pairs in single precision give the estimate of the rounded pairs") {
  const Pairs pairs(9);
  QuasiNewtonMemory single(12, 5, InitialInverse::identity, PairPrecision::single_precision), exact(12, 5), all(12, 5);
  for (std::size_t i = 0; i < 9; ++i) {
    CHECK(single.push(pairs.s[i], pairs.y[i]));
    all.push(pairs.s[i], pairs.y[i]);
  }
  for (int i = 0; i < 5; ++i) {
    CHECK(exact.push(single.step(i), single.change(i)));
    CHECK(relative_error(single.step(i), pairs.s[4 + static_cast<std::size_t>(i)]) < 1e-7);
    CHECK(single.step(i) != pairs.s[4 + static_cast<std::size_t>(i)]);
  }
  const Numbers x = normals(12, 7);
  Numbers out(12), expected(12);
  single.apply(x, out);
  exact.apply(x, expected);
  CHECK(relative_error(out, expected) < 1e-12);
  CHECK(dot(x, out) > 0.0);
  all.apply(x, expected);
  CHECK(relative_error(out, expected) < 1e-5);
}

TEST_CASE("Pairs without positive curvature are refused and copies of a memory go their own way") {
  const Pairs pairs(4);
  QuasiNewtonMemory memory(12, 2);
  memory.push(pairs.s[0], pairs.y[0]);
  memory.push(pairs.s[1], pairs.y[1]);
  Numbers negative = pairs.y[0];
  scale(-1.0, negative);
  CHECK_FALSE(memory.push(pairs.s[0], negative));
  CHECK_FALSE(memory.push(Numbers(12, 0.0), Numbers(12, 0.0)));
  negative[3] = std::numeric_limits<double>::quiet_NaN();
  CHECK_FALSE(memory.push(pairs.s[0], negative));
  CHECK(memory.refused() == 3);

  const Numbers x = normals(12, 9);
  Numbers before(12), after(12);
  memory.apply(x, before);
  QuasiNewtonMemory other = memory;
  other.push(pairs.s[2], pairs.y[2]);
  other.push(pairs.s[3], pairs.y[3]);
  memory.apply(x, after);
  CHECK(before == after);
  other.apply(x, after);
  CHECK(before != after);
}

TEST_CASE("A Wolfe search meets both conditions on convex, bent and steep functions") {
  const auto quartic = [](double t) { return LinePoint{t, std::pow(t - 3.0, 4), 4.0 * std::pow(t - 3.0, 3)}; };
  const auto bent = [](double t) {
    return LinePoint{t, std::cos(t) + 0.01 * t, -std::sin(t) + 0.01 - 0.5 * (t < 1e-12)};
  };
  const auto steep = [](double t) {
    return LinePoint{t, std::exp(50.0 * t) - 60.0 * t, 50.0 * std::exp(50.0 * t) - 60.0};
  };
  const std::vector<std::function<LinePoint(double)>> functions{quartic, bent, steep};
  for (const double curvature : {0.9, kParityCurvature})
    for (const auto& phi : functions) {
      const LinePoint start = phi(0.0);
      const WolfeOptions options{.curvature = curvature, .max_evaluations = 60};
      const LineSearchResult found = search_wolfe(phi, start.value, start.slope, options);
      CHECK(found.status == LineSearchStatus::satisfied);
      CHECK(found.is_last);
      CHECK(found.point.value <= start.value + 1e-4 * found.point.step * start.slope);
      CHECK(std::abs(found.point.slope) <= curvature * std::abs(start.slope));
    }
}

TEST_CASE("A Wolfe search that cannot succeed says why") {
  const auto falling = [](double t) { return LinePoint{t, -t, -1.0}; };
  CHECK(search_wolfe(falling, 0.0, -1.0, {.max_evaluations = 5}).status == LineSearchStatus::decreased);
  CHECK(search_wolfe(falling, 0.0, 1.0, {}).status == LineSearchStatus::not_descent);
  const auto nowhere = [](double t) { return LinePoint{t, std::numeric_limits<double>::infinity(), 0.0}; };
  const LineSearchResult failed = search_wolfe(nowhere, 0.0, -1.0, {.max_evaluations = 7});
  CHECK(failed.status == LineSearchStatus::failed);
  CHECK(failed.evaluations == 7);
  CHECK(failed.point.step == 0.0);
  CHECK_THROWS_AS(search_wolfe(falling, 0.0, -1.0, {.curvature = 1.5}), Error);
}

DenseProblem small_logistic() {
  return {random_rows(60, 12, 0.05, 1, 3), random_rows(40, 12, 0.05, 2, 3), Loss::logistic, false};
}

TEST_CASE("L-BFGS finds the minimum, counts its gradients and warm-starts from its own end") {
  DenseProblem problem = small_logistic();
  const Numbers lambda{0.0};
  Numbers w = normals(12, 4), gradient(12);
  QuasiNewtonMemory memory(12, 10);
  const InnerReport report = minimise_lbfgs(problem, lambda, w, memory, {.tolerance = 1e-9});
  CHECK(report.status == SolveStatus::converged);
  CHECK(report.value == doctest::Approx(problem.inner(w, lambda, gradient)).epsilon(1e-14));
  CHECK(norm(gradient) == doctest::Approx(report.residual));
  CHECK(report.residual < 1e-9);
  CHECK(report.count.inner_gradients > report.iterations);
  CHECK(report.count.hessian_products == 0);

  const InnerReport again = minimise_lbfgs(problem, lambda, w, memory, {.tolerance = 1e-9});
  CHECK(again.iterations == 0);
  CHECK(again.count.inner_gradients == 1);
  CHECK(memory.pairs() == 10);
}

TEST_CASE("L-BFGS with the published constants and fixed steps after failures converges too") {
  DenseProblem problem = small_logistic();
  const Numbers lambda{0.0};
  Numbers w = normals(12, 4);
  QuasiNewtonMemory memory(12, 60);
  const InnerReport report = minimise_lbfgs(problem, lambda, w, memory,
                                            {.tolerance = 1e-6,
                                             .line_search = {.curvature = kParityCurvature, .max_evaluations = 10},
                                             .on_failure = SearchFailure::fixed_step});
  CHECK(report.status == SolveStatus::converged);
}

TEST_CASE("L-BFGS reports budgets, floors of rounding and numbers that are not finite as a status") {
  DenseProblem problem = small_logistic();
  Numbers w = normals(12, 4);
  QuasiNewtonMemory memory(12, 10);
  CHECK(minimise_lbfgs(problem, Numbers{0.0}, w, memory, {.tolerance = 1e-9, .max_iterations = 3}).status ==
        SolveStatus::max_steps);
  const InnerReport floor = minimise_lbfgs(problem, Numbers{0.0}, w, memory, {.tolerance = 0.0, .max_iterations = 500});
  CHECK(floor.status != SolveStatus::converged);
  CHECK(floor.residual < 1e-9);
  CHECK(minimise_lbfgs(problem, Numbers{800.0}, w, memory, {}).status == SolveStatus::nonfinite);
  CHECK_THROWS_AS(minimise_lbfgs(problem, Numbers{0.0, 0.0}, w, memory, {}), Error);
}

TEST_CASE("The guards keep the estimate positive definite on non-convex least squares") {
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    DenseProblem problem(random_rows(50, 10, 0.0, seed, 90 + seed, 2.0), random_rows(30, 10, 0.0, 50 + seed, 90 + seed),
                         Loss::squared, false);
    const Numbers lambda{std::log(1e-3)};
    Numbers w = normals(10, 200 + seed);
    scale(3.0, w);
    QuasiNewtonMemory memory(10, 40);
    const InnerReport report = minimise_lbfgs(
        problem, lambda, w, memory,
        {.tolerance = 1e-7, .on_failure = SearchFailure::fixed_step, .awareness = OuterAwareness{.period = 2}});
    CHECK(report.status == SolveStatus::converged);
    for (std::uint64_t k = 0; k < 20; ++k) {
      const Numbers x = normals(10, 300 + k);
      Numbers out(10);
      memory.apply(x, out);
      CHECK(dot(x, out) > 0.0);
    }
    for (int i = 0; i < memory.pairs(); ++i) CHECK(dot(memory.step(i), memory.change(i)) > 0.0);
  }
}

TEST_CASE("An outer-aware pair of negative curvature is refused") {
  // r = cos(w) curves downwards at 0.3, and steps no longer than the gradient stay there for a while: the first
  // ordinary pair and the first extra one are of negative curvature.
  class Cosine final : public BilevelProblem {
   public:
    [[nodiscard]] std::int64_t inner_size() const override { return 1; }
    [[nodiscard]] std::int64_t outer_size() const override { return 1; }
    double inner(ConstVector w, ConstVector, Vector gradient) override {
      gradient[0] = -std::sin(w[0]);
      return std::cos(w[0]);
    }
    void hessian_product(ConstVector w, ConstVector, ConstVector v, Vector out) override {
      out[0] = -std::cos(w[0]) * v[0];
    }
    void cross_product(ConstVector, ConstVector, ConstVector, Vector out) override { out[0] = 0.0; }
    double outer(ConstVector w, ConstVector, Vector gradient_w, Vector gradient_lambda) override {
      gradient_w[0] = w[0];
      gradient_lambda[0] = 0.0;
      return 0.5 * w[0] * w[0];
    }
  } problem;
  Numbers w{0.3};
  QuasiNewtonMemory memory(1, 10);
  const InnerReport report =
      minimise_lbfgs(problem, Numbers{0.0}, w, memory,
                     {.tolerance = 1e-10, .line_search = {.max_step = 1.0}, .awareness = OuterAwareness{.period = 1}});
  CHECK(report.status == SolveStatus::converged);
  CHECK(report.refused_pairs >= 2);
  CHECK(std::abs(std::sin(w[0])) < 1e-10);
  Numbers out(1);
  memory.apply(Numbers{1.0}, out);
  CHECK(out[0] > 0.0);
}

TEST_CASE("Conjugate gradients end within n steps, use their start and report what stopped them") {
  Numbers eigenvalues;
  for (int i = 0; i < 20; ++i) eigenvalues.push_back(1.0 + i);
  const Numbers a = symmetric_matrix(eigenvalues, 3), c = normals(20, 4), exact = solve_dense(a, c);
  const auto product = [&a](ConstVector v, Vector out) { copy(times(a, v), out); };
  Numbers q(20, 0.0);
  const LinearReport cold = solve_conjugate_gradient(product, c, q, {.tolerance = 1e-10});
  CHECK(cold.status == AdjointStatus::converged);
  CHECK(cold.iterations <= 20);
  CHECK(cold.operator_products == cold.iterations);
  CHECK(relative_error(q, exact) < 1e-9);
  const LinearReport warm = solve_conjugate_gradient(product, c, q, {.tolerance = 1e-8});
  CHECK(warm.iterations == 0);
  CHECK(warm.operator_products == 1);
  const LinearReport capped =
      solve_conjugate_gradient(product, normals(20, 5), q, {.tolerance = 1e-12, .max_iterations = 3});
  CHECK(capped.status == AdjointStatus::max_steps);
  CHECK(capped.residual > 1e-12);

  const auto indefinite = [](ConstVector v, Vector out) { out[0] = v[0], out[1] = -v[1]; };
  Numbers two(2, 0.0);
  CHECK(solve_conjugate_gradient(indefinite, Numbers{1.0, 2.0}, two, {}).status == AdjointStatus::negative_curvature);
  const auto broken = [](ConstVector, Vector out) { out[0] = std::numeric_limits<double>::quiet_NaN(); };
  Numbers one{0.0};
  CHECK(solve_conjugate_gradient(broken, Numbers{1.0}, one, {}).status == AdjointStatus::nonfinite);
  one[0] = 5.0;
  CHECK(solve_conjugate_gradient(broken, Numbers{0.0}, one, {}).status == AdjointStatus::converged);
  CHECK(one[0] == 0.0);
}

TEST_CASE("Complete pivoting solves indefinite and consistent singular systems") {
  const PivotedLu regular({0.0, 2.0, 2.0, 0.0}, 2);
  Numbers b{2.0, 4.0};
  regular.solve(b);
  CHECK(b == Numbers{2.0, 1.0});
  const PivotedLu singular({1.0, 2.0, 2.0, 4.0}, 2);
  CHECK(singular.rank() == 1);
  Numbers x{3.0, 6.0};
  singular.solve(x);
  CHECK(x[0] + 2.0 * x[1] == doctest::Approx(3.0));
  const PivotedLu nothing({0.0}, 1);
  Numbers zero{0.0};
  nothing.solve(zero);
  CHECK(zero[0] == 0.0);
}

TEST_CASE("Sums over long vectors do not depend on the number of threads") {
  const Numbers x = normals(50000, 1), y = normals(50000, 2);
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const double one = dot(x, y);
  omp_set_num_threads(3);
  const double three = dot(x, y);
  Numbers z = x;
  const double fused = add_scaled_dot(0.5, y, z, y);
  omp_set_num_threads(threads);
  CHECK(one == three);
  CHECK(fused == doctest::Approx(one + 0.5 * dot(y, y)).epsilon(1e-12));
}

}  // namespace
}  // namespace deq::test
