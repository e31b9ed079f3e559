#include "layers/graph_problem.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "core/builder.h"
#include "core/error.h"
#include "layers/equilibrium.h"
#include "solvers/bilevel/logistic_regression.h"
#include "solvers/policy.h"

namespace deq {
namespace {

std::vector<double> normals(std::int64_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> out(count);
  for (double& value : out) value = normal(random);
  return out;
}

double largest_gap(const std::vector<double>& a, const std::vector<double>& b) {
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

constexpr std::int64_t kFeatures = 4;
constexpr std::int64_t kSamples = 9;
/// Both sides in double, sums of a few terms of size 1.
constexpr double kRounding = 1e-12;

/// Logistic regression with one penalty a feature, as graph code.
BilevelLosses trace_logistic(Value w, Value lambda) {
  const auto loss = [&](const std::string& part) {
    const Value x = w.graph->input(part + ".x", {DType::f32, {kSamples, kFeatures}}, Rate::batch);
    const Value y = w.graph->input(part + ".y", {DType::f32, {kSamples, 1}}, Rate::batch);
    return sum(log(exp(-(y * matmul(x, reshape(w, {kFeatures, 1})))) + 1.0));
  };
  return {
      .inner = loss("train") + 0.5 * sum(exp(lambda) * square(w)), .outer = loss("validation"), .test = loss("test")};
}

TEST_CASE("vectors of another length than the problem's are refused") {
  GraphProblem problem(2, 1, [](Value w, Value lambda) {
    return BilevelLosses{.inner = sum(square(w)) * exp(sum(lambda)), .outer = sum(square(w - 1.0))};
  });
  const std::vector<double> w(2, 0.5), lambda(1), long_lambda(2);
  std::vector<double> gradient(2), one(1), three(3);
  CHECK_THROWS_WITH_AS((void)problem.inner(w, lambda, one), "graph problem: room for 1 numbers, but the result has 2",
                       Error);
  CHECK_THROWS_WITH_AS((void)problem.inner(w, long_lambda, gradient), "graph problem: 'lambda' has 1 entries, given 2",
                       Error);
  CHECK_THROWS_AS(problem.hessian_product(w, lambda, w, three), Error);
  problem.hessian_product(w, lambda, w, gradient);  // leaves a direction behind
  CHECK_THROWS_WITH_AS(problem.hessian_product(w, lambda, {}, gradient),
                       "graph problem: 'direction' has 2 entries, given 0", Error);
  CHECK_THROWS_AS(problem.cross_product(w, lambda, w, gradient), Error);
  CHECK_THROWS_AS((void)problem.outer(w, lambda, gradient, gradient), Error);
}

TEST_CASE("products of a problem in graph code are those of the one written by hand") {
  Bindings data;
  BilevelSamples samples;
  std::uint32_t seed = 1;
  const std::pair<const char*, Samples*> parts[] = {
      {"train", &samples.train}, {"validation", &samples.validation}, {"test", &samples.test}};
  for (const auto& [name, part] : parts) {
    const auto x = normals(kSamples * kFeatures, seed++);
    auto y = normals(kSamples, seed++);
    for (double& label : y) label = label > 0 ? 1 : -1;
    *part = {SparseMatrix::from_dense(kSamples, kFeatures, x), y};
    data[name + std::string(".x")] = Tensor::of(Shape{kSamples, kFeatures}, x);
    data[name + std::string(".y")] = Tensor::of(Shape{kSamples, 1}, y);
  }
  GraphProblem traced(kFeatures, kFeatures, trace_logistic, data);
  LogisticRegression written(samples, PenaltyGroups::per_weight);

  const auto w = normals(kFeatures, 20);
  const auto lambda = normals(kFeatures, 21);
  const auto v = normals(kFeatures, 22);
  std::vector<double> a(kFeatures), b(kFeatures), a2(kFeatures, 7), b2(kFeatures, 8);
  CHECK(std::abs(traced.inner(w, lambda, a) - written.inner(w, lambda, b)) < kRounding);
  CHECK(largest_gap(a, b) < kRounding);
  traced.hessian_product(w, lambda, v, a);
  written.hessian_product(w, lambda, v, b);
  CHECK(largest_gap(a, b) < kRounding);
  traced.cross_product(w, lambda, v, a);
  written.cross_product(w, lambda, v, b);
  CHECK(largest_gap(a, b) < kRounding);
  CHECK(std::abs(traced.outer(w, lambda, a, a2) - written.outer(w, lambda, b, b2)) < kRounding);
  CHECK(largest_gap(a, b) < kRounding);
  CHECK(a2 == b2);
  CHECK(std::abs(traced.test(w) - written.test(w)) < kRounding);
}

TEST_CASE("losses in which both levels depend on both variables have right products") {
  // r = sum tanh(l0 w_i)^2 + sum (e^l1 w_i - l0)^2 / 2, F = sum exp(w) l1 + l0^2: closed enough to difference.
  const auto trace = [](Value w, Value lambda) {
    const Value l0 = slice(lambda, 0, 0, 1);
    const Value l1 = slice(lambda, 0, 1, 2);
    return BilevelLosses{.inner = sum(square(tanh(l0 * w))) + 0.5 * sum(square(exp(l1) * w - l0)),
                         .outer = sum(exp(w) * l1) + sum(square(l0))};
  };
  GraphProblem problem(3, 2, trace);
  const std::vector<double> w = {0.3, -0.8, 1.1};
  const std::vector<double> lambda = {0.9, -0.4};
  const std::vector<double> v = {1, -2, 0.5};
  constexpr double kStep = 1e-5;
  constexpr double kDifference = 1e-8;  // truncation 1e-10, rounding 1e-11
  std::vector<double> hv(3), cross(2), ahead(3), behind(3), gw(3), gl(2), unused_w(3), unused_l(2);
  problem.hessian_product(w, lambda, v, hv);
  problem.cross_product(w, lambda, v, cross);
  problem.outer(w, lambda, gw, gl);
  auto at = [](std::vector<double> from, std::size_t i, double step) {
    from[i] += step;
    return from;
  };
  for (std::size_t i = 0; i < 3; ++i) {
    problem.inner(at(w, i, kStep), lambda, ahead);
    problem.inner(at(w, i, -kStep), lambda, behind);
    double column_v = 0;  // row i of H times v: H is symmetric
    for (std::size_t j = 0; j < 3; ++j) column_v += (ahead[j] - behind[j]) / (2 * kStep) * v[j];
    CHECK(std::abs(column_v - hv[i]) < kDifference);
    const double slope = (problem.outer(at(w, i, kStep), lambda, unused_w, unused_l) -
                          problem.outer(at(w, i, -kStep), lambda, unused_w, unused_l)) /
                         (2 * kStep);
    CHECK(std::abs(slope - gw[i]) < kDifference);
  }
  for (std::size_t i = 0; i < 2; ++i) {
    problem.inner(w, at(lambda, i, kStep), ahead);
    problem.inner(w, at(lambda, i, -kStep), behind);
    double along = 0;
    for (std::size_t j = 0; j < 3; ++j) along += (ahead[j] - behind[j]) / (2 * kStep) * v[j];
    CHECK(std::abs(along - cross[i]) < kDifference);
    const double slope = (problem.outer(w, at(lambda, i, kStep), unused_w, unused_l) -
                          problem.outer(w, at(lambda, i, -kStep), unused_w, unused_l)) /
                         (2 * kStep);
    CHECK(std::abs(slope - gl[i]) < kDifference);
  }
  CHECK(std::isnan(problem.test(w)));
}

TEST_CASE("the inner level may fit the weights of an equilibrium") {
  // z = tanh(z W + x), r = |z - y|^2 / 2 + e^lambda |W|^2 / 2.
  constexpr std::int64_t kWidth = 3;
  Bindings data;
  for (const auto& [name, seed] : {std::pair<const char*, std::uint32_t>{"x", 1}, {"y", 2}, {"y'", 3}})
    data[name] = Tensor::of(Shape{2, kWidth}, normals(2 * kWidth, seed));
  const SolverOptions tight{.max_steps = 100, .tolerance = {1e-14, NormMode::absolute}, .patience = 0};
  const auto policy = std::make_shared<ImplicitPolicy>(tight, FullAdjoint{.solver = tight});
  const auto trace = [&](Value w, Value lambda) {
    const auto given = [&](const char* name) { return w.graph->input(name, {DType::f32, {2, kWidth}}, Rate::batch); };
    const auto cell = [&](Value z, Value x) { return tanh(matmul(z, reshape(w, {kWidth, kWidth})) + x); };
    const Value z = equilibrium(cell, given("x"), {.policy = policy});
    return BilevelLosses{.inner = 0.5 * sum(square(z - given("y"))) + 0.5 * sum(exp(lambda)) * sum(square(w)),
                         .outer = 0.5 * sum(square(z - given("y'")))};
  };
  GraphProblem problem(kWidth * kWidth, 1, trace, data, Mode::training);
  auto w = normals(kWidth * kWidth, 5);
  for (double& value : w) value *= 0.2;
  const auto v = normals(kWidth * kWidth, 6);
  const std::vector<double> lambda{-1.0};
  std::vector<double> product(w.size()), cross(1), ahead(w.size()), behind(w.size()), moved = w;
  problem.hessian_product(w, lambda, v, product);
  problem.cross_product(w, lambda, v, cross);
  constexpr double kStep = 1e-5;
  const auto slope_at = [&](double step, std::vector<double>& slope) {
    for (std::size_t i = 0; i < w.size(); ++i) moved[i] = w[i] + step * v[i];
    return problem.inner(moved, lambda, slope);
  };
  slope_at(kStep, ahead);
  slope_at(-kStep, behind);
  for (std::size_t i = 0; i < w.size(); ++i) CHECK(std::abs((ahead[i] - behind[i]) / (2 * kStep) - product[i]) < 1e-8);
  double along = 0;  // d/dlambda of the gradient is e^lambda w
  for (std::size_t i = 0; i < w.size(); ++i) along += std::exp(lambda[0]) * w[i] * v[i];
  CHECK(std::abs(cross[0] - along) < 1e-12);
}

TEST_CASE("a linear inner loss has zero second derivatives") {
  GraphProblem problem(2, 1, [](Value w, Value) { return BilevelLosses{.inner = sum(w), .outer = sum(square(w))}; });
  const std::vector<double> w = {1, 2};
  const std::vector<double> lambda = {3};
  std::vector<double> out(2, 7), cross(1, 7);
  problem.hessian_product(w, lambda, w, out);
  problem.cross_product(w, lambda, w, cross);
  CHECK(out == std::vector<double>{0, 0});
  CHECK(cross == std::vector<double>{0});
}

TEST_CASE("graph code that is no bi-level problem is refused with its reason") {
  const auto build = [](const TraceBilevel& trace) { GraphProblem(2, 1, trace); };
  CHECK_THROWS_WITH_AS(build([](Value w, Value) { return BilevelLosses{.inner = w, .outer = sum(w)}; }),
                       doctest::Contains("the inner loss must be a scalar"), Error);
  CHECK_THROWS_WITH_AS(
      build([](Value w, Value lambda) { return BilevelLosses{.inner = sum(lambda), .outer = sum(w)}; }),
      doctest::Contains("does not depend on w"), Error);
  CHECK_THROWS_WITH_AS(build([](Value w, Value) {
                         const Value x = w.graph->input("x", {DType::f32, {2}}, Rate::batch);
                         return BilevelLosses{.inner = sum(square(w * x)), .outer = sum(w)};
                       }),
                       doctest::Contains("input 'x'"), Error);
  CHECK_THROWS_AS(GraphProblem(0, 1, {}), Error);
}

}  // namespace
}  // namespace deq
