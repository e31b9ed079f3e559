#include <doctest/doctest.h>

#include <cmath>

#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "evaluate.h"
#include "layers/equilibrium.h"
#include "layers/linear.h"
#include "solvers/policy.h"

// Solvers that evaluate more than f inside the loop: products with J and J^T, and the gradient of the loss.

using namespace deq;
using namespace deq::layers_tests;

namespace {

constexpr int kBatch = 5, kWidth = 12, kClasses = 3;

struct Cell {
  explicit Cell(const ParamScope& scope) : inner(scope / "inner", kWidth, kWidth) {}
  Value operator()(Value z, Value x) const { return deq::tanh(inner(z) * 1.2 + x); }
  layers::Linear inner;
};

/// Loss and gradient in x of a classifier on top of an equilibrium, in double.
struct Run {
  Run(const SolverOptions& solver, const AdjointOptions& adjoint, bool has_outer_loss = true) {
    ParameterStore store(3);
    const ParamScope scope(store);
    const Cell cell(scope / "cell");
    const layers::Linear head(scope / "head", kWidth, kClasses);
    const Value x = graph.input("x", {DType::f32, {kBatch, kWidth}}, Rate::batch);
    const Value label = graph.input("label", {DType::i32, {kBatch}}, Rate::batch);
    const auto loss_of = [&](Value z) { return mean(softmax_cross_entropy(head(z), label).loss); };
    EquilibriumOptions options{.policy = std::make_shared<const ImplicitPolicy>(solver, adjoint)};
    if (has_outer_loss) options.outer_loss = [&](std::span<const Value> z) { return loss_of(z[0]); };
    const Value loss = loss_of(equilibrium(cell, x, options));
    const std::vector<Value> outputs{gradients(loss, std::vector<Value>{x})[0], loss};
    Program program = Program::compile(graph, outputs, backend);
    program.bind(x, wave({kBatch, kWidth}));
    program.bind(label, Tensor::of<std::int32_t>({kBatch}, std::vector<std::int32_t>{0, 1, 2, 0, 1}));
    for (int repeat = 0; repeat < 2; ++repeat) program.run();  // a second run must find everything as the first
    const Tensor read = program.read(outputs[0]);
    gradient.assign(read.data<float>().begin(), read.data<float>().end());
    report = *program.forward_report();
    method = report.method;
  }
  Graph graph{Mode::training};
  ReferenceBackend backend;
  std::vector<double> gradient;
  SolveReport report;
  std::string method;
};

constexpr SolverOptions limits(SolverMethod method) {
  return {.method = method, .max_steps = 60, .tolerance = {1e-10, NormMode::absolute}};
}

double relative_error(const std::vector<double>& found, const std::vector<double>& exact) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    difference += (found[i] - exact[i]) * (found[i] - exact[i]);
    size += exact[i] * exact[i];
  }
  return std::sqrt(difference / size);
}

const AdjointOptions kExact = FullAdjoint{.solver = {.max_steps = 60, .tolerance = {.value = 1e-9}}};

}  // namespace

TEST_CASE("adjoint Broyden solves an equilibrium node with products that its program computes") {
  const Run exact(limits(Broyden{}), kExact), adjoint(limits(AdjointBroyden{}), kExact);
  CHECK(adjoint.method == "adjoint-broyden");
  CHECK(adjoint.report.count(SolveStatus::converged) == kBatch);
  CHECK(adjoint.report.jacobian_products == adjoint.report.steps_run);
  CHECK(relative_error(adjoint.gradient, exact.gradient) < 1e-5);  // both are solved to 1e-9
}

TEST_CASE("extra updates along the loss make the shared gradient nearly exact") {
  const Run exact(limits(Broyden{}), kExact);
  const auto error = [&](const SolverMethod& method) {
    const Run run(limits(method), SharedInverse{});
    CHECK(run.report.count(SolveStatus::converged) == kBatch);
    return relative_error(run.gradient, exact.gradient);
  };
  const double broyden = error(Broyden{});
  const double outer = error(AdjointBroyden{.outer_every = 2});
  CHECK(outer < 0.01);
  CHECK(outer < 0.1 * broyden);
}

TEST_CASE("Newton-Krylov solves an equilibrium node in few steps") {
  const Run exact(limits(Broyden{}), kExact), newton(limits(NewtonKrylov{}), kExact);
  CHECK(newton.report.count(SolveStatus::converged) == kBatch);
  CHECK(newton.report.steps_run < exact.report.steps_run);
  CHECK(newton.report.jacobian_products > 0);
  CHECK(relative_error(newton.gradient, exact.gradient) < 1e-5);
}

TEST_CASE("a policy that follows the loss without being given one is refused by name") {
  CHECK_THROWS_WITH_AS(Run(limits(AdjointBroyden{.outer_every = 5}), SharedInverse{}, false),
                       "equilibrium: the solver's extra updates follow the gradient of the loss: set "
                       "EquilibriumOptions::outer_loss",
                       Error);
}
