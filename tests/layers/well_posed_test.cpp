#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "autodiff/vjp.h"
#include "core/composed.h"
#include "core/cpu/backend.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "evaluate.h"
#include "layers/conv.h"
#include "layers/equilibrium.h"
#include "layers/linear.h"
#include "layers/monotone.h"
#include "solvers/policy.h"

using namespace deq;
using namespace deq::layers_tests;

// Layers that keep a fixed point unique: weights of bounded spectral norm, and monotone ones.

namespace {

using Matrix = std::vector<double>;  // [rows, columns]

/// Largest singular value, by power iteration on W^T W from a start that no symmetry hides from.
double largest_singular_value(const Matrix& w, std::size_t rows) {
  const std::size_t columns = w.size() / rows;
  std::vector<double> v(columns), u(rows);
  for (std::size_t j = 0; j < columns; ++j) v[j] = 1.0 + 0.3 * std::cos(1.7 * static_cast<double>(j));
  double length = 0;
  for (int step = 0; step < 2000; ++step) {
    for (std::size_t i = 0; i < rows; ++i)
      u[i] = std::inner_product(v.begin(), v.end(), w.begin() + static_cast<std::ptrdiff_t>(i * columns), 0.0);
    std::ranges::fill(v, 0.0);
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j) v[j] += w[i * columns + j] * u[i];
    length = std::sqrt(std::inner_product(v.begin(), v.end(), v.begin(), 0.0));
    for (double& x : v) x /= length;
  }
  return std::sqrt(length);
}

std::vector<double> read(const Program& program, Value value) {
  Tensor out(DType::f64, value.shape());
  program.read(value, out);
  return {out.data<double>().begin(), out.data<double>().end()};
}

/// z of one solve on the reference backend.
std::vector<double> solve(const layers::Monotone& w, const SolverOptions& how, double step, double start,
                          SolveStatus status) {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {3, 6}}, Rate::batch);
  const auto f = [&](Value z, Value at) { return step > 0 ? relu(w.forward_backward(z, at, step)) : relu(w(z) + at); };
  const auto policy = std::make_shared<ImplicitPolicy>(how, JacobianFree{});
  const Value z = equilibrium(f, x, constant(graph, start, x.shape()), {.policy = policy});
  ReferenceBackend backend;
  Program program = Program::compile(graph, {z}, backend);
  program.bind(x, wave({3, 6}));
  program.run();
  CHECK(program.forward_report()->count(status) == 3);
  return read(program, z);
}

}  // namespace

TEST_CASE("no gradient flows back through a detached value") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {3}}, Rate::batch);
  const Value y = x * detach(x);
  const Value slope = gradients(sum(y), {x})[0];
  const Bindings at{{"x", Tensor::of<float>({3}, std::vector<float>{1, 2, -4})}};
  CHECK(evaluate(y, at) == std::vector<double>{1, 4, 16});
  CHECK(evaluate(slope, at) == std::vector<double>{1, 2, -4});
  CpuBackend cpu;
  Program program = Program::compile(graph, {slope}, cpu);
  program.bind(x, at.at("x"));
  program.run();
  CHECK(read(program, slope) == std::vector<double>{1, 2, -4});
}

TEST_CASE("spectral norm holds the largest singular value at its bound from the first step on") {
  ParameterStore store(5);
  const ParamScope scope(store);
  const layers::Linear linear(scope / "fc", 7, 5, {.spectral_norm = {{.bound = 0.8}}});
  const layers::Conv2d conv(scope / "conv", 3, 4, 3, {.spectral_norm = {{.bound = 2.0}}});
  for (const Mode mode : {Mode::inference, Mode::training}) {
    Graph graph(mode);
    const Value like = graph.input("x", {DType::f32, {1}}, Rate::batch);
    CHECK(largest_singular_value(evaluate(linear.effective_weight(like)), 5) == doctest::Approx(0.8).epsilon(1e-4));
    CHECK(largest_singular_value(evaluate(conv.effective_weight(like)), 4) == doctest::Approx(2.0).epsilon(1e-4));
    CHECK(graph.assignments().size() == (mode == Mode::training ? 2 : 0));
  }
  CHECK(store.trainable_elements() == 7 * 5 + 5 + 3 * 4 * 9 + 4);
}

TEST_CASE("weights within the bound stay as they are where only larger ones are to be scaled") {
  ParameterStore store(5);
  const layers::Linear small(ParamScope(store) / "small", 6, 4, {.spectral_norm = {{.bound = 50, .only_above = true}}});
  const layers::Linear large(ParamScope(store) / "large", 6, 4,
                             {.spectral_norm = {{.bound = 0.1, .only_above = true}}});
  Graph graph;
  const Value like = graph.input("x", {DType::f32, {1}}, Rate::batch);
  const std::span<const float> kept = small.normed.weight.tensor()->data<float>();
  CHECK(max_difference(evaluate(small.effective_weight(like)), {kept.begin(), kept.end()}) < 1e-7);
  CHECK(largest_singular_value(evaluate(large.effective_weight(like)), 4) == doctest::Approx(0.1).epsilon(1e-4));
}

TEST_CASE("training steps follow the weight's singular vector, and inference graphs use it") {
  ParameterStore store(5);
  const layers::Linear layer(ParamScope(store) / "fc", 6, 6, {.has_bias = false, .spectral_norm = {{.bound = 1.0}}});
  store.set("fc.weight_orig", wave({6, 6}, 2.1));  // another matrix: the vector is stale
  ReferenceBackend backend;
  Graph training(Mode::training), inference;
  const Value x = training.input("x", {DType::f32, {2, 6}}, Rate::batch);
  const Value w = layer.effective_weight(x), twice = layer(x) + layer(x * 2.0);
  Program step = Program::compile(training, {w, twice}, backend);
  step.bind(x, wave({2, 6}));
  step.run();
  const double first = largest_singular_value(read(step, w), 6);
  for (int i = 0; i < 60; ++i) step.run();
  CHECK(std::abs(largest_singular_value(read(step, w), 6) - 1.0) < 1e-5);
  CHECK(std::abs(first - 1.0) > 1e-3);
  const Value like = inference.input("x", {DType::f32, {1}}, Rate::batch);
  CHECK(std::abs(largest_singular_value(evaluate(layer.effective_weight(like)), 6) - 1.0) < 1e-5);
}

TEST_CASE("the gradient of a spectral norm is that of the quotient") {
  ParameterStore store(5);
  const layers::Linear layer(ParamScope(store) / "fc", 4, 3, {.has_bias = false, .spectral_norm = {{.bound = 0.7}}});
  Graph graph;
  const Value like = graph.input("x", {DType::f32, {1}}, Rate::batch);
  const Value loss = sum(layer.effective_weight(like) * constant(graph, wave({3, 4}, 1.4)));
  const std::vector<double> slope = evaluate(gradients(loss, {layer.normed.weight(like)})[0]);
  const Tensor& weight = *layer.normed.weight.tensor();
  Matrix w(weight.data<float>().begin(), weight.data<float>().end());
  const Tensor c = wave({3, 4}, 1.4);
  const auto value_at = [&](std::size_t at, double distance) {
    Matrix moved = w;
    moved[at] += distance;
    double total = 0;
    for (std::size_t i = 0; i < moved.size(); ++i) total += moved[i] * static_cast<double>(c.data<float>()[i]);
    return 0.7 * total / largest_singular_value(moved, 3);
  };
  for (std::size_t at = 0; at < w.size(); ++at)
    CHECK(slope[at] == doctest::Approx((value_at(at, 1e-5) - value_at(at, -1e-5)) / 2e-5).epsilon(1e-3));
}

TEST_CASE("an equilibrium of bounded weights has one solution, wherever its solve starts") {
  ParameterStore store(3);
  const layers::Linear inner(ParamScope(store) / "inner", 6, 6, {.spectral_norm = {{.bound = 0.9}}});
  store.set("inner.weight_orig", [] {
    Tensor wide = wave({6, 6}, 0.4);
    for (float& element : wide.data<float>()) element *= 30;
    return wide;
  }());
  ReferenceBackend backend;
  std::vector<double> found[2];
  for (const int start : {0, 1}) {
    Graph graph(Mode::training);
    const Value x = graph.input("x", {DType::f32, {2, 6}}, Rate::batch);
    const auto policy = std::make_shared<ImplicitPolicy>(
        SolverOptions{.method = Picard{}, .max_steps = 400, .tolerance = {1e-11, NormMode::absolute}, .patience = 0},
        JacobianFree{});
    const Value z = equilibrium([&](Value state, Value at) { return deq::tanh(inner(state) + at); }, x,
                                constant(graph, start == 0 ? 0.0 : 5.0, x.shape()), {.policy = policy});
    Program program = Program::compile(graph, {z}, backend);
    program.bind(x, wave({2, 6}));
    for (int i = 0; i < 60; ++i) program.run();  // the singular vector of the weight that was put in
    CHECK(program.forward_report()->count(SolveStatus::converged) == 2);
    found[start] = read(program, z);
  }
  CHECK(max_difference(found[0], found[1]) < 1e-9);
}

TEST_CASE("a monotone layer has one equilibrium where plain iteration diverges") {
  ParameterStore store(11);
  const layers::Monotone w(ParamScope(store) / "w", 6, 0.3);
  for (const char* name : {"w.A", "w.B"}) {
    Tensor wide = wave({6, 6}, name[2] == 'A' ? 0.4 : 1.9);
    for (float& element : wide.data<float>()) element *= 2;
    store.set(name, wide);
  }
  // x^T (I - W) x >= margin |x|^2
  Graph graph;
  const Matrix weight = evaluate(w.weight(graph.input("x", {DType::f32, {1}}, Rate::batch)));
  for (const double phase : {0.1, 0.9, 2.2, 3.7}) {
    const Tensor x = wave({6}, phase);
    double form = 0, square = 0;
    for (std::size_t i = 0; i < 6; ++i)
      for (std::size_t j = 0; j < 6; ++j) {
        const double xi = x.data<float>()[i], xj = x.data<float>()[j];
        form += xi * ((i == j ? 1.0 : 0.0) - weight[i * 6 + j]) * xj;
        square += i == j ? xi * xi : 0.0;
      }
    CHECK(form >= 0.3 * square - 1e-5);
  }
  const SolverOptions picard{
      .method = Picard{}, .max_steps = 20000, .tolerance = {1e-10, NormMode::absolute}, .patience = 0};
  const auto below = solve(w, picard, 0.005, -3, SolveStatus::converged);
  const auto above = solve(w, picard, 0.005, 8, SolveStatus::converged);
  // An iterate is at most its residual / (step margin) away.
  CHECK(max_difference(below, above) < 2 * 1e-10 / (0.005 * 0.3));
  (void)solve(w, picard, 0, -3, SolveStatus::diverged);
  // Broyden finds it with a step that plain iteration could not take.
  const SolverOptions broyden{.max_steps = 200, .tolerance = {1e-10, NormMode::absolute}, .patience = 0};
  CHECK(max_difference(solve(w, broyden, 0.1, 0, SolveStatus::converged), below) < 2 * 1e-10 / (0.005 * 0.3));
}

TEST_CASE("what cannot bound a weight is refused by name") {
  ParameterStore store;
  const ParamScope scope(store);
  CHECK_THROWS_WITH_AS(layers::Linear(scope / "fc", 2, 2, {.spectral_norm = {{.bound = 0}}}),
                       doctest::Contains("must be above 0 (fc)"), Error);
  CHECK_THROWS_WITH_AS(layers::Conv2d(scope / "c", 2, 2, 3, {.has_weight_norm = true, .spectral_norm = {{}}}),
                       doctest::Contains("exclude each other"), Error);
  CHECK_THROWS_WITH_AS(layers::Monotone(scope / "m", 3, 0.0), doctest::Contains("in (0, 1]"), Error);
  const layers::Monotone w(scope / "w", 3);
  Graph graph;
  CHECK_THROWS_WITH_AS(w(graph.input("x", {DType::f32, {2, 4}}, Rate::batch)), doctest::Contains("end in 3"), Error);
}
