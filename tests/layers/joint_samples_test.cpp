#include <doctest/doctest.h>

#include <cmath>

#include "autodiff/vjp.h"
#include "core/cpu/backend.h"
#include "core/program.h"
#include "evaluate.h"
#include "layers/equilibrium.h"
#include "solvers/policy.h"

using namespace deq;
using namespace deq::layers_tests;

namespace {

/// A chain of nodes as rows: z = 0.9 A z + x with A [N,N] the step to the next node, so that z_i = x_i + 0.9 z_{i+1}.
constexpr int kNodes = 6;

Value next_node(Graph& graph) {
  Tensor a(DType::f32, {kNodes, kNodes});
  for (std::size_t i = 0; i + 1 < kNodes; ++i) a.data<float>()[i * kNodes + i + 1] = 0.9F;
  return graph.parameter("next", std::make_shared<Tensor>(a));
}

std::shared_ptr<const EquilibriumPolicy> policy(const SolverMethod& method, Compaction compaction = Compaction::off) {
  return std::make_shared<ImplicitPolicy>(
      SolverOptions{.method = method, .max_steps = 60, .tolerance = {.value = 1e-5}}, FullAdjoint{}, compaction);
}

}  // namespace

TEST_CASE("nodes of a graph as rows are one system") {
  // Only the last node is fed: all but the last two rows have no residual before the news reaches them.
  for (const SolverMethod& method : std::vector<SolverMethod>{Picard{}, Anderson{}, Broyden{}, NewtonKrylov{}})
    for (const Compaction compaction : {Compaction::off, Compaction::on}) {
      CAPTURE(method.index());
      Graph graph(Mode::training);
      const Value x = graph.input("x", {DType::f32, {kNodes, 1}}, Rate::batch);
      const Value next = next_node(graph);
      const auto f = [next](Value z, Value at) { return matmul(next, z) + at; };
      const Value z = equilibrium(f, x, {.policy = policy(method, compaction)});
      const std::vector<Value> gradient = gradients(sum(slice(z, 0, 0, 1)), std::vector{x});
      const std::vector<Value> outputs{z, gradient[0]};
      CpuBackend backend;
      Program program = Program::compile(graph, outputs, backend);
      CHECK(program.describe().find("solve 0: all samples are solved as one, for matmul reads all samples of operand "
                                    "1 (layer 'equilibrium')") != std::string::npos);
      Tensor fed(DType::f32, {kNodes, 1});
      fed.data<float>()[kNodes - 1] = 1;
      program.bind(x, fed);
      program.run();
      const SolveReport& report = *program.forward_report();
      CHECK(report.status.size() == 1);
      CHECK(report.status[0] == SolveStatus::converged);
      for (int i = 0; i < kNodes; ++i) {  // z_i = 0.9^(N-1-i), dz_0 / dx_i = 0.9^i
        CHECK(program.read(z).data<float>()[i] == doctest::Approx(std::pow(0.9, kNodes - 1 - i)).epsilon(1e-4));
        CHECK(program.read(gradient[0]).data<float>()[i] == doctest::Approx(std::pow(0.9, i)).epsilon(1e-3));
      }
    }
}
