#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/interpreter.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "tests/op_cases/op_cases.h"
#include "tests/op_cases/plain_solvers.h"

using namespace deq;

// The implicit gradient, compiled and solved to rounding, against the gradient through a long unrolled iteration.

namespace {

// Contraction by less than 0.7 a step: 0.7^120 is below 1e-18.
constexpr int kSteps = 120;

using Blocks = std::vector<Value>;

/// Coupled blocks of different widths; the second hands the first's mean through, so J^T v is not diagonal.
struct Model {
  Graph graph{Mode::training};
  Bindings bindings;
  Value a, b, x;

  Model() { a = bound("a", {3, 3}), b = bound("b", {3, 5}), x = bound("x", {2, 3}); }
  Value bound(const std::string& name, Shape shape) {
    const op_cases::CaseInput input{.name = name, .type = {DType::f32, shape}};
    const Tensor wide = op_cases::values_of(input, 3);
    Tensor narrow(input.type);
    std::transform(wide.data<double>().begin(), wide.data<double>().end(), narrow.data<float>().begin(),
                   [](double value) { return static_cast<float>(value); });
    bindings[name] = narrow;
    return graph.input(name, input.type, Rate::batch);
  }
  [[nodiscard]] Blocks f(const Blocks& z) const {
    const Value drive = mean(z[1], {1}, /*keep_dims=*/true) * 0.2;
    return {deq::tanh(matmul(z[0], a) * 0.25 + drive + x), sigmoid(matmul(z[0], b) * 0.5) + z[1] * 0.25};
  }
  [[nodiscard]] Blocks start() { return {constant(graph, 0, {2, 3}), constant(graph, 0, {2, 5})}; }
  [[nodiscard]] static Value loss(const Blocks& z) { return sum(square(z[0])) + sum(exp(z[1])); }
  [[nodiscard]] Blocks variables() const { return {a, b, x}; }
};

std::vector<Tensor> unrolled_gradients() {
  Model model;
  Blocks z = model.start();
  for (int step = 0; step < kSteps; ++step) z = model.f(z);
  ReferenceBackend backend;
  return interpret(model.graph, gradients(Model::loss(z), model.variables()), model.bindings, backend);
}

std::vector<Tensor> implicit_gradients() {
  Model model;
  Graph& graph = model.graph;
  const Blocks states{graph.input("z0", {DType::f32, {2, 3}}, Rate::iterate),
                      graph.input("z1", {DType::f32, {2, 5}}, Rate::iterate)};
  const RegionId region = graph.add_region(states, model.f(states));
  const Blocks z =
      graph.add(Equilibrium{.region = region, .policy = std::make_shared<tests::PlainPolicy>(kSteps)}, model.start());
  const Blocks y = model.f(z);
  const Blocks out = graph.add(ImplicitGradient{.equilibrium = z[0].ref.node}, Blocks{y[0], y[1], z[0], z[1]});
  const Blocks grads = gradients(Model::loss(out), model.variables());

  ReferenceBackend backend;
  Program program = Program::compile(graph, grads, backend);
  for (const auto& [name, value] : model.bindings) program.bind(name, value);
  program.run();
  std::vector<Tensor> values;
  for (const Value& grad : grads) values.push_back(program.read(grad));
  return values;
}

}  // namespace

TEST_CASE("the implicit gradient equals the gradient through the converged iteration") {
  const std::vector<Tensor> expected = unrolled_gradients(), found = implicit_gradients();
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    CAPTURE(i);
    double largest = 0;
    for (const double value : expected[i].data<double>()) largest = std::max(largest, std::abs(value));
    CHECK(largest > 1e-2);
    for (std::size_t j = 0; j < expected[i].data<double>().size(); ++j) {
      // Both are computed in double; reading a program rounds to float32 (6e-8).
      CHECK(std::abs(found[i].data<float>()[j] - expected[i].data<double>()[j]) <= 2e-7 * largest);
    }
  }
}
