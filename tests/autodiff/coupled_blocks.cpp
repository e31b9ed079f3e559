#include "coupled_blocks.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/builder.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "tests/op_cases/op_cases.h"

namespace deq::tests {

CoupledBlocks::CoupledBlocks() { a = bound("a", {3, 3}), b = bound("b", {3, 5}), x = bound("x", {2, 3}); }

Value CoupledBlocks::bound(const std::string& name, Shape shape, std::uint64_t phase) {
  const op_cases::CaseInput input{.name = name, .type = {DType::f32, shape}};
  const Tensor wide = op_cases::values_of(input, phase);
  Tensor narrow(input.type);
  std::transform(wide.data<double>().begin(), wide.data<double>().end(), narrow.data<float>().begin(),
                 [](double value) { return static_cast<float>(value); });
  bindings[name] = narrow;
  return graph.input(name, input.type, Rate::batch);
}

Blocks CoupledBlocks::f(const Blocks& z) const {
  const Value drive = mean(z[1], {1}, /*keep_dims=*/true) * 0.2;
  return {deq::tanh(matmul(z[0], a) * 0.25 + drive + x), sigmoid(matmul(z[0], b) * 0.5) + z[1] * 0.25};
}

Blocks CoupledBlocks::start() { return {constant(graph, 0, {2, 3}), constant(graph, 0, {2, 5})}; }

Value CoupledBlocks::loss(const Blocks& z) { return sum(square(z[0])) + sum(exp(z[1])); }

Blocks CoupledBlocks::unrolled() {
  Blocks z = start();
  for (int step = 0; step < kSteps; ++step) z = f(z);
  return z;
}

Blocks CoupledBlocks::solved(Passes passes) {
  const std::string stem = concat("z@", graph.size(), '.');
  const Blocks states{graph.input(stem + "0", {DType::f32, {2, 3}}, Rate::iterate),
                      graph.input(stem + "1", {DType::f32, {2, 5}}, Rate::iterate)};
  const RegionId region = graph.add_region(states, f(states));
  const Blocks z = graph.add(Equilibrium{.region = region, .policy = std::make_shared<PlainPolicy>(kSteps)}, start());
  const Blocks y = f(z);
  const Blocks out = graph.add(ImplicitGradient{.solve = z[0].ref.node}, Blocks{y[0], y[1], z[0], z[1]});
  if (passes == Passes::applied) return out;
  return {graph.add_one(StandIn{}, {out[0], z[0]}), graph.add_one(StandIn{}, {out[1], z[1]})};
}

std::vector<Tensor> CoupledBlocks::interpreted(const Blocks& outputs) const {
  ReferenceBackend backend;
  return interpret(graph, outputs, bindings, backend);
}

std::vector<Tensor> CoupledBlocks::compiled(const Blocks& outputs) const {
  ReferenceBackend backend;
  Program program = Program::compile(graph, outputs, backend);
  for (const auto& [name, value] : bindings)
    if (program.has_input(name)) program.bind(name, value);
  program.run();
  std::vector<Tensor> values;
  for (const Value& output : outputs) values.push_back(program.read(output));
  return values;
}

void check_agreement(const std::vector<Tensor>& found, const std::vector<Tensor>& expected, double tolerance) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    CAPTURE(i);
    const auto right = expected[i].data<double>();
    const auto values = found[i].data<float>();
    double largest = 0;
    for (const double value : right) largest = std::max(largest, std::abs(value));
    CHECK(largest > 1e-3);
    for (std::size_t j = 0; j < right.size(); ++j) CHECK(std::abs(values[j] - right[j]) <= tolerance * largest);
  }
}

}  // namespace deq::tests
