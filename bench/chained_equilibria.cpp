// A training step through equilibria in a row, which are too small for threads: what a replay costs beside its work.
//
//   build/release/bench_chained_equilibria [equilibria [rows [width]]]
//
// Milliseconds of a replay in each of five rounds: 200 equilibria with states [8, 8] by default. The program does not
// call limit_spinning, as one of somebody who has not heard of it.

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "layers/dsl.h"

int main(int argc, char** argv) {
  using namespace deq;
  const auto argument = [&](int index, int otherwise) { return argc > index ? std::atoi(argv[index]) : otherwise; };
  const int equilibria = argument(1, 200), rows = argument(2, 8), width = argument(3, 8);
  const SolverOptions limits{.max_steps = 200, .tolerance = {.value = 1e-7}, .patience = 0};
  const auto policy = std::make_shared<ImplicitPolicy>(limits, FullAdjoint{.solver = limits});

  Graph graph(Mode::training);
  ParameterStore store(/*seed=*/1);
  const ParamScope scope(store);
  const Value x = graph.input("x", {DType::f32, {rows, width}}, Rate::batch);
  Value y = x;
  for (int i = 0; i < equilibria; ++i) {
    const layers::Linear w(scope / i, width, width);
    y = equilibrium([&](Value z, Value injected) { return deq::tanh(w(z) * 0.5 + injected); }, y, {.policy = policy});
  }
  const std::vector<Value> weights = store.trainable(graph), gradient = gradients(mean(square(y)), weights);
  for (std::size_t i = 0; i < weights.size(); ++i) graph.assign(weights[i], weights[i] - gradient[i] * 0.1);
  CpuBackend cpu;
  Program step = Program::compile(graph, std::vector{y}, cpu);
  Tensor values(x.type());
  float value = 0.0F;
  for (float& each : values.data<float>()) each = value = value > 1.0F ? -1.0F : value + 0.37F;
  step.bind(x, values);
  step.run();
  for (int round = 0; round < 5; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    step.run();
    const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - begin;
    std::printf("%.1f ms\n", taken.count());
  }
}
