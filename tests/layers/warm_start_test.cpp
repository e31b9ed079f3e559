#include <doctest/doctest.h>

#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "evaluate.h"
#include "layers/equilibrium.h"
#include "layers/linear.h"
#include "solvers/policy.h"

using namespace deq;
using namespace deq::layers_tests;

namespace {

constexpr int kBatch = 3, kWidth = 12;
constexpr SolverOptions kOptions{.max_steps = 60, .tolerance = {1e-6}};

struct Cell {
  explicit Cell(const ParamScope& scope) : inner(scope / "inner", kWidth, kWidth) {}
  Value operator()(Value z, Value x) const { return deq::tanh(inner(z) + x); }
  layers::Linear inner;
};

/// z* and d(mean z*^2)/dx of a layer whose starting point is an input of the graph.
struct Run {
  explicit Run(ImplicitPolicy policy) {
    ParameterStore store(3);
    const Cell cell{ParamScope(store)};
    const Value x = graph.input("x", {DType::f32, {kBatch, kWidth}}, Rate::batch);
    const Value z0 = graph.input("z0", {DType::f32, {kBatch, kWidth}}, Rate::batch);
    const EquilibriumOptions options{.policy = std::make_shared<const ImplicitPolicy>(std::move(policy)),
                                     .output = EquilibriumOutput::iterate};
    solution = equilibrium(cell, x, z0, options);
    gradient = gradients(mean(square(solution)), std::vector<Value>{x})[0];
    program = std::make_unique<Program>(Program::compile(graph, std::vector<Value>{solution, gradient}, backend));
    program->bind("x", wave({kBatch, kWidth}));
  }
  void run(const Tensor& start) {
    program->bind("z0", start);
    program->run();
  }
  [[nodiscard]] const SolveReport& report() const { return *program->forward_report(); }

  Graph graph{Mode::training};
  ReferenceBackend backend;
  Value solution, gradient;
  std::unique_ptr<Program> program;
};

double largest_difference(const Tensor& a, const Tensor& b) {
  const auto x = a.data<float>(), y = b.data<float>();
  return max_difference({x.begin(), x.end()}, {y.begin(), y.end()});
}

}  // namespace

TEST_CASE("a starting point may be an input of the graph and changes the steps but not the result") {
  Run run(ImplicitPolicy(kOptions, FullAdjoint{}));
  run.run(Tensor(DType::f32, {kBatch, kWidth}));
  CHECK(run.report().count(SolveStatus::converged) == kBatch);
  CHECK(run.report().steps[0] > 3);
  const Tensor solution = run.program->read(run.solution), gradient = run.program->read(run.gradient);
  // One row starts at its solution, the others elsewhere.
  Tensor start = wave({kBatch, kWidth}, 2.0);
  std::copy_n(solution.data<float>().begin(), kWidth, start.data<float>().begin());
  run.run(start);
  CHECK(run.report().steps[0] == 0);
  CHECK(run.report().steps[1] > 3);
  CHECK(run.report().count(SolveStatus::converged) == kBatch);
  constexpr double kSolved = 1e-5;  // residuals of 1e-6 of |f| <= 4
  CHECK(largest_difference(run.program->read(run.solution), solution) < kSolved);
  CHECK(largest_difference(run.program->read(run.gradient), gradient) < kSolved);
}

TEST_CASE("a program that starts warm goes on from its last solution and another program does not") {
  ImplicitPolicy policy(kOptions, FullAdjoint{});
  policy.start_warm();
  CHECK(policy.describe().find("warm start") != std::string::npos);
  const Tensor zeros(DType::f32, {kBatch, kWidth});
  Run first(policy);
  first.run(zeros);
  const int cold_steps = first.report().steps[0];
  const Tensor solution = first.program->read(first.solution);
  CHECK(cold_steps > 3);
  first.run(zeros);
  CHECK(first.report().steps_run == 0);
  CHECK(largest_difference(first.program->read(first.solution), solution) == 0);
  Run second(policy);
  second.run(zeros);
  CHECK(second.report().steps[0] == cold_steps);
}
