#include "layers/trajectory.h"

#include <doctest/doctest.h>

#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "evaluate.h"
#include "layers/linear.h"
#include "solvers/policy.h"

using namespace deq;
using namespace deq::layers_tests;

namespace {

EquilibriumOptions slice(int steps) {
  const SolverOptions solver{.max_steps = steps, .tolerance = {.value = 0.0}};
  return {.policy = std::make_shared<ImplicitPolicy>(solver, JacobianFree{})};
}

}  // namespace

TEST_CASE("weights of states rise to one") {
  CHECK(state_weights(3) == std::vector<double>{0.8 * 0.8, 0.8, 1.0});
  CHECK(state_weights(2, StateWeights::linear) == std::vector<double>{0.55, 1.0});
  CHECK(state_weights(2, StateWeights::constant) == std::vector<double>{1.0, 1.0});
  CHECK_THROWS_AS((void)state_weights(0), Error);
  CHECK_THROWS_AS((void)state_weights(2, StateWeights::geometric, 1.5), Error);
}

TEST_CASE("each slice goes on where the one before ended and is supervised on its own") {
  ParameterStore store(3);
  const layers::Linear inner(ParamScope(store) / "inner", 3, 3);
  ReferenceBackend backend;
  Graph graph(Mode::training);
  const Value x = graph.input("x", {DType::f32, {4, 3}}, Rate::batch);
  const auto f = [&](std::span<const Value> z) { return std::vector<Value>{deq::tanh(inner(z[0]) * 0.5 + x)}; };
  const std::vector<EquilibriumTrace> traces = trace_trajectory(f, {zeros_like(x)}, {slice(2), slice(2), slice(8)});
  REQUIRE(traces.size() == 3);
  std::vector<Value> losses;
  for (const EquilibriumTrace& trace : traces) losses.push_back(mean(square(trace.values[0])));
  const Value loss = corrected_loss(losses, state_weights(3));
  const std::vector<Value> weights = store.trainable(graph);
  const std::vector<Value> gradient = gradients(loss, weights);
  // By linearity: the gradient is the weighted sum of those of the slices.
  std::vector<Value> outputs{gradient[0], loss};
  std::vector<std::vector<Value>> parts;
  for (const Value& part : losses) {
    parts.push_back(gradients(part, weights));
    outputs.push_back(parts.back()[0]);
  }
  Program program = Program::compile(graph, outputs, backend);
  program.bind(x, wave({4, 3}));
  program.run();
  // Residuals shrink from slice to slice.
  for (std::size_t k = 1; k < 3; ++k)
    CHECK(program.forward_report(k)->initial_residual[0] <= program.forward_report(k - 1)->initial_residual[0]);
  CHECK(program.forward_report(2)->residual[0] < 1e-3);
  const Tensor whole = program.read(gradient[0]);
  const std::vector<double> shares = state_weights(3);
  for (std::size_t i = 0; i < whole.data<float>().size(); ++i) {
    double expected = 0.0;
    for (std::size_t k = 0; k < 3; ++k)
      expected += shares[k] * static_cast<double>(program.read(parts[k][0]).data<float>()[i]);
    CHECK(static_cast<double>(whole.data<float>()[i]) == doctest::Approx(expected).epsilon(1e-5));
  }
}
