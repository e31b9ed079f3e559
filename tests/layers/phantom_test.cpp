#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <iostream>
#include <optional>

#include "autodiff/jvp.h"
#include "autodiff/vjp.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "data/safetensors.h"
#include "evaluate.h"
#include "layers/dropout.h"
#include "layers/equilibrium.h"
#include "layers/linear.h"
#include "layers/parameter.h"
#include "solvers/names.h"
#include "solvers/policy.h"

using namespace deq;
using namespace deq::layers_tests;

namespace {

/// z = tanh(z W^T + x U^T + b), loss = sum(c z): the reference data's model, built of layers.
struct Contract {
  explicit Contract(const SafetensorsFile& file) : golden(file) {
    for (const char* name : {"x", "W", "U", "b"}) store.add(name, golden.tensors.at(name).clone(), true);
  }
  /// Gradients of W, U, b and x under `adjoint`, in double, with a forward solve to rounding.
  [[nodiscard]] std::map<std::string, std::vector<double>> gradients(const AdjointOptions& adjoint) const {
    ReferenceBackend backend;
    Graph graph(Mode::training);
    const SolverOptions tight{.max_steps = 60, .tolerance = {1e-14, NormMode::absolute}, .patience = 0};
    const auto policy = std::make_shared<ImplicitPolicy>(tight, adjoint);
    const std::vector<Value> inputs = store.trainable(graph);
    const Value x = inputs[0], w = inputs[1], u = inputs[2], b = inputs[3];
    const auto cell = [&](Value z, Value) {
      return deq::tanh(matmul(z, w, false, true) + matmul(x, u, false, true) + b);
    };
    const Value z0 = constant(graph, 0.0, {4, 32});
    const Value z = equilibrium(cell, x, z0, {.policy = policy});
    const Value loss = sum(z * graph.parameter("c", std::make_shared<Tensor>(golden.tensors.at("c"))));
    const std::vector<Value> grads = deq::gradients(loss, inputs);
    Program program = Program::compile(graph, grads, backend);
    program.run();
    std::map<std::string, std::vector<double>> out;
    const char* const names[] = {"dx", "dW", "dU", "db"};
    for (std::size_t i = 0; i < grads.size(); ++i) {
      Tensor values(DType::f64, grads[i].shape());
      program.read(grads[i], values);
      out[names[i]] = {values.data<double>().begin(), values.data<double>().end()};
    }
    return out;
  }
  [[nodiscard]] double error(const std::string& prefix, const AdjointOptions& adjoint) const {
    double worst = 0.0;
    for (const auto& [name, found] : gradients(adjoint)) {
      const auto expected = golden.tensors.at(prefix + name).data<double>();
      worst = std::max(worst, max_difference(found, {expected.begin(), expected.end()}));
    }
    return worst;
  }

  SafetensorsFile golden;
  ParameterStore store;
};

std::optional<Contract> contract() {
  const char* const folder = std::getenv("DEQ_REFERENCE_DIR");
  if (folder != nullptr)
    return std::optional<Contract>(std::in_place,
                                   read_safetensors(std::string(folder) + "/fixed-point/contract.safetensors"));
  std::cout << "SKIPPED: DEQ_REFERENCE_DIR is not set\n";
  return std::nullopt;
}

struct Cell {
  explicit Cell(const ParamScope& scope, double p = 0.0) : inner(scope / "inner", 3, 3), drop(scope / "drop", p) {}
  Value operator()(Value z, Value x) const { return deq::tanh(drop(inner(z)) * 0.4 + x); }
  layers::Linear inner;
  layers::Dropout drop;
};

std::shared_ptr<const ImplicitPolicy> policy_of(const std::string& estimator) {
  return std::make_shared<ImplicitPolicy>(SolverOptions{}, adjoint_from_name(estimator));
}

}  // namespace

// The reference solved to 1e-10 or so before it differentiated; 1e-8 is what its results are good for.
constexpr double kGolden = 1e-8;

TEST_CASE("one full step after the solve is the Jacobian-free gradient of the reference") {
  const auto model = contract();
  if (!model) return;
  CHECK(model->error("grad_pg1.", Phantom{.steps = 1, .damping = 1.0}) < kGolden);
  CHECK(model->error("grad_pg1.", JacobianFree{}) < kGolden);
}

TEST_CASE("five half steps after the solve are the phantom gradient of the reference") {
  const auto model = contract();
  if (!model) return;
  CHECK(model->error("grad_pg5_tau05.", Phantom{.steps = 5, .damping = 0.5}) < kGolden);
  CHECK(model->error("grad_pg5_tau05.", Phantom{.steps = 4, .damping = 0.5}) > 1e-3);
}

TEST_CASE("every way to solve the adjoint exactly gives the exact gradients of the reference") {
  const auto model = contract();
  if (!model) return;
  for (const char* method : {"broyden", "broyden-lowrank", "anderson", "picard", "gmres", "bicgstab"}) {
    CAPTURE(method);
    const FullAdjoint full{.solver = {.max_steps = 200, .tolerance = {1e-12, NormMode::relative}}};
    CHECK(model->error("exact_", with_backward_method(full, method)) < kGolden);
  }
  CHECK(model->error("exact_", NystromColumns{.columns = 32}) < kGolden);
  CHECK(model->error("exact_", NeumannSeries{.terms = 80}) < kGolden);
  CHECK(model->error("exact_", Phantom{.steps = 80, .damping = 1.0}) < kGolden);
}

TEST_CASE("an unrolling policy needs no adjoint and hands on what its applications give") {
  ParameterStore store(3);
  const Cell cell{ParamScope(store)};
  Graph graph(Mode::training);
  const Value x = graph.input("x", {DType::f32, {4, 3}}, Rate::batch);
  const EquilibriumTrace trace =
      trace_equilibrium([&](std::span<const Value> z) { return std::vector<Value>{cell(z[0], x)}; }, {zeros_like(x)},
                        {.policy = policy_of("phantom-3")});
  CHECK(trace.applications.size() == 3);
  CHECK(nodes_with<ImplicitGradient>(graph).empty());
  const std::vector<Value> weights = store.trainable(graph);
  (void)gradients(sum(trace.values[0]), weights);
  CHECK(nodes_with<LinearSolve>(graph).empty());
}

TEST_CASE("what unrolls has a forward derivative and a second one") {
  Graph graph(Mode::training);
  const Value x = graph.input("x", {DType::f32, {1, 1}}, Rate::batch);
  const auto cell = [](Value z, Value given) { return z * 0.25 + square(given); };  // z* = 4/3 x^2
  const std::vector<Value> z{equilibrium(cell, x, {.policy = policy_of("unrolled-40")})}, wrt{x};
  const Value along = jvp(z, wrt, std::vector{x})[0];
  const Value slope = gradients(sum(z[0]), wrt)[0];
  const Value curvature = gradients(sum(slope), wrt)[0];
  const std::vector<Value> wanted{along, slope, curvature};
  ReferenceBackend backend;
  Program program = Program::compile(graph, wanted, backend);
  program.bind(x, Tensor::of<float>({1, 1}, std::vector<float>{0.5F}));
  program.run();
  const double expected[] = {2.0 / 3.0, 4.0 / 3.0, 8.0 / 3.0};
  for (std::size_t i = 0; i < wanted.size(); ++i)
    CHECK(program.read(wanted[i]).data<float>()[0] == doctest::Approx(expected[i]));
}

TEST_CASE("an inference graph does not unroll") {
  ParameterStore store(3);
  const Cell cell{ParamScope(store)};
  Graph graph(Mode::inference);
  const Value z =
      equilibrium(cell, graph.input("x", {DType::f32, {4, 3}}, Rate::batch), {.policy = policy_of("unrolled-3")});
  CHECK(std::holds_alternative<Equilibrium>(graph.node(z.ref).op));
}

TEST_CASE("all applications of an unrolling share one mask") {
  ParameterStore store(3);
  const Cell cell{ParamScope(store), 0.5};
  Graph graph(Mode::training);
  (void)equilibrium(cell, graph.input("x", {DType::f32, {4, 3}}, Rate::batch), {.policy = policy_of("phantom-4")});
  CHECK(nodes_with<Random>(graph).size() == 1);
}
