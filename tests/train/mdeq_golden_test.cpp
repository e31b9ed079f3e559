#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/program.h"
#include "data/safetensors.h"
#include "tests/train/golden_mdeq.h"
#include "tests/train/temporary_folder.h"
#include "train/make_backend.h"
#include "train/model.h"

// Compiled programs against the reference implementation: plan, rewrites, solvers, adjoints and layers together.

namespace deq {

namespace {

using test::elements_of;
using test::max_difference;
using test::to_nhwc;

/// A device and how exactly it can solve: the residual that its arithmetic reaches, with room to spare.
struct Arithmetic {
  DeviceKind device;
  double tolerance;
};
constexpr Arithmetic kArithmetics[] = {{DeviceKind::reference, 1e-11}, {DeviceKind::cpu, 1e-6}};

/// Limits of the reference data for a float32 implementation.
constexpr double kMapLimit = 1e-5;
constexpr double kLogitLimit = 1e-4;

Config config_with(double dropout) {
  Config config = parse_config(test::golden_mdeq_config(), "golden");
  config.model.dropout = dropout;
  return config;
}

struct Golden {
  explicit Golden(const std::filesystem::path& folder, double dropout = 0)
      : model(config_with(dropout)),
        cases(read_safetensors(folder / "case.safetensors").tensors),
        gradients(read_safetensors(folder / "implicit_gradients.safetensors").tensors) {
    copy_tensors(read_safetensors(folder / "weights.safetensors").tensors, model.tensors(), "golden");
    labels = Tensor(DType::i32, {batch()});
    const auto from = cases.at("labels").data<std::int64_t>();
    std::transform(from.begin(), from.end(), labels.data<std::int32_t>().begin(),
                   [](std::int64_t label) { return static_cast<std::int32_t>(label); });
  }

  [[nodiscard]] std::int64_t batch() const { return cases.at("x").shape()[0]; }
  [[nodiscard]] Value image_of(Graph& graph) const {
    return graph.input("image", {DType::f32, model.image_shape(static_cast<int>(batch()))}, Rate::batch);
  }
  [[nodiscard]] Tensor nhwc(const std::string& name) const { return to_nhwc(cases.at(name)); }
  /// Blocks `stem`0, `stem`1, ... one after the other, as a solver sees them.
  [[nodiscard]] std::vector<double> state(const std::string& stem) const {
    std::vector<double> out;
    for (int i = 0; i < model.network.config.branches(); ++i)
      for (const double x : elements_of(nhwc(stem + std::to_string(i)))) out.push_back(x);
    return out;
  }

  Model model;
  test::Tensors cases;
  test::Tensors gradients;
  Tensor labels;
};

std::shared_ptr<const ImplicitPolicy> tight_policy(double tolerance) {
  SolverOptions solver{.max_steps = 120, .tolerance = {.value = tolerance}};
  FullAdjoint adjoint{.solver = solver};
  return std::make_shared<const ImplicitPolicy>(solver, adjoint);
}

std::vector<double> read_state(const StateSpec& spec, StateView state) {
  std::vector<double> out(static_cast<std::size_t>(spec.elements()));
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = spec.dtype == DType::f64 ? static_cast<const double*>(state.data)[i]
                                      : static_cast<double>(static_cast<const float*>(state.data)[i]);
  return out;
}

void write_state(const StateSpec& spec, const std::vector<double>& from, StateView state) {
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (spec.dtype == DType::f64)
      static_cast<double*>(state.data)[i] = from[i];
    else
      static_cast<float*>(state.data)[i] = static_cast<float>(from[i]);
  }
}

/// A pullback J^T v at states that the caller chooses: the forward stays where it starts, the backward is one product.
class OneStep final : public EquilibriumPolicy {
 public:
  struct Stay final : FixedPointSolver, InverseEstimate {
    [[nodiscard]] std::size_t workspace_bytes() const override { return 0; }
    [[nodiscard]] std::size_t estimate_bytes() const override { return 0; }
    void bind(void*, void*) override {}
    void solve(FixedPointMap& map, StateView z, SolveReport& report) override {
      report.resize(map.spec().batch);
      std::memcpy(map.input().data, z.data, map.spec().bytes());
    }
    [[nodiscard]] const InverseEstimate& estimate() const override { return *this; }
    void apply(StateView, StateView) const override {}
    void apply_transpose(StateView, StateView) const override {}
    [[nodiscard]] std::span<const int> rank() const override { return {}; }
  };
  struct Product final : AdjointSolver {
    [[nodiscard]] std::size_t workspace_bytes() const override { return 0; }
    void bind(void*) override {}
    void solve(FixedPointMap& vjp, const InverseEstimate&, const SolveReport&, StateView w, StateView u,
               SolveReport& report) override {
      report.resize(vjp.spec().batch);
      std::memcpy(vjp.input().data, w.data, vjp.spec().bytes());
      vjp.replay();
      std::memcpy(u.data, vjp.output().data, vjp.spec().bytes());
    }
  };
  [[nodiscard]] std::unique_ptr<FixedPointSolver> make_solver(const StateSpec&, StateOps&) const override {
    return std::make_unique<Stay>();
  }
  [[nodiscard]] std::unique_ptr<AdjointSolver> make_adjoint(const StateSpec&, StateOps&) const override {
    return std::make_unique<Product>();
  }
  [[nodiscard]] bool needs_vjp() const override { return true; }
  [[nodiscard]] std::string describe() const override { return "one step"; }
};

/// Outputs of the graph's only adjoint solve.
std::vector<Value> adjoint_outputs(Graph& graph) {
  std::vector<Value> out;
  for (NodeId id = 0; id < graph.size(); ++id)
    if (std::holds_alternative<LinearSolve>(graph.node(id).op))
      for (std::uint32_t i = 0; i < graph.node(id).outputs.size(); ++i) out.push_back(graph.value({id, i}));
  return out;
}

/// Logits and gradients of one training step, solved tightly.
struct TrainingRun {
  Tensor logits;
  test::Tensors gradients;
};

TrainingRun train_once(const Golden& golden, const Arithmetic& arithmetic) {
  const auto backend = make_backend({.kind = arithmetic.device});
  Graph graph(Mode::training);
  MdeqForward forward;
  forward.equilibrium.policy = tight_policy(arithmetic.tolerance);
  const Value logits = golden.model.network(golden.image_of(graph), forward).logits;
  const Value label = graph.input("label", golden.labels.type(), Rate::batch);
  const Value loss = mean(softmax_cross_entropy(logits, label).loss);
  std::vector<Value> parameters;
  std::vector<std::string> names;
  for (const ParameterEntry& entry : golden.model.store.entries()) {
    if (!entry.is_trainable) continue;
    parameters.push_back(graph.parameter(entry.name, entry.value));
    names.push_back(entry.name);
  }
  std::vector<Value> outputs = gradients(loss, parameters);
  outputs.push_back(logits);
  Program program = Program::compile(graph, outputs, *backend);
  program.bind("image", golden.nhwc("x"));
  program.bind("label", golden.labels);
  program.run();
  CHECK(program.forward_report()->count(SolveStatus::converged) == 3);
  CHECK(program.backward_report()->count(SolveStatus::converged) == 3);
  TrainingRun out{.logits = program.read(logits), .gradients = {}};
  for (std::size_t i = 0; i < names.size(); ++i) out.gradients.emplace(names[i], program.read(outputs[i]));
  return out;
}

/// The stored masks are those of the first block of each branch; the run behind them dropped nothing in a second one.
void fix_masks(Golden& golden) {
  auto& branches = golden.model.network.transformation.branches;
  for (std::size_t i = 0; i < branches.size(); ++i) {
    for (mdeq::ResidualBlock& block : branches[i]) block.drop.element.p = 0;
    const Tensor& mask = golden.cases.at(concat("dropout_mask_", i));
    layers::Dropout& first = branches[i].front().drop.element;
    first.p = 0.25;
    first.fixed_mask =
        std::make_shared<Tensor>(Tensor::of(Shape{mask.shape()[0], 1, 1, mask.shape()[1]}, mask.data<float>()));
  }
}

}  // namespace

TEST_CASE("a compiled inference program reaches the reference's solution and logits") {
  const auto folder = test::golden_mdeq_folder();
  if (!folder) return;
  const Golden golden(*folder);
  for (const Arithmetic& arithmetic : kArithmetics) {
    CAPTURE(name_of(Device{.kind = arithmetic.device}));
    const auto backend = make_backend({.kind = arithmetic.device});
    Graph graph(Mode::inference);
    MdeqForward forward;
    forward.equilibrium.policy = tight_policy(arithmetic.tolerance);
    const Mdeq::Output output = golden.model.network(golden.image_of(graph), forward);
    std::vector<Value> outputs{output.logits};
    outputs.insert(outputs.end(), output.states.begin(), output.states.end());
    Program program = Program::compile(graph, outputs, *backend);
    program.bind("image", golden.nhwc("x"));
    program.run();
    CHECK(program.forward_report()->count(SolveStatus::converged) == 3);
    CHECK(max_difference(program.read(output.logits), golden.cases.at("eval_tight_logits")) < kLogitLimit);
    for (std::size_t i = 0; i < output.states.size(); ++i)
      CHECK(max_difference(program.read(output.states[i]), golden.nhwc(concat("eval_tight_z_", i))) < kLogitLimit);
  }
}

TEST_CASE("the map of a compiled program is the reference's f") {
  const auto folder = test::golden_mdeq_folder();
  if (!folder) return;
  const Golden golden(*folder);
  for (const Arithmetic& arithmetic : kArithmetics) {
    CAPTURE(name_of(Device{.kind = arithmetic.device}));
    const auto backend = make_backend({.kind = arithmetic.device});
    Graph graph(Mode::inference);
    MdeqForward forward;
    forward.equilibrium.policy = std::make_shared<const OneStep>();
    const Mdeq::Output output = golden.model.network(golden.image_of(graph), forward);
    Program program = Program::compile(graph, output.states, *backend);
    program.bind("image", golden.nhwc("x"));
    program.run();
    FixedPointMap& map = *program.map();
    const std::vector<double> z = golden.state("f_zin_");
    const std::vector<double> zero(z.size(), 0.0);
    for (const auto& [from, to] : {std::pair(z, "f_out_"), std::pair(zero, "f_out_at_zero_")}) {
      write_state(map.spec(), from, map.input());
      map.replay();
      CHECK(max_difference(read_state(map.spec(), map.output()), golden.state(to)) < kMapLimit);
    }
  }
}

TEST_CASE("the vjp map of a compiled program is the reference's pullback") {
  const auto folder = test::golden_mdeq_folder();
  if (!folder) return;
  const Golden golden(*folder);
  for (const Arithmetic& arithmetic : kArithmetics) {
    CAPTURE(name_of(Device{.kind = arithmetic.device}));
    const auto backend = make_backend({.kind = arithmetic.device});
    Graph graph(Mode::training);
    const Tensor injected = golden.nhwc("injection_eval");
    const Value injection = graph.input("injection", injected.type(), Rate::batch);
    std::vector<Value> z;
    std::vector<Value> cotangents;
    for (int i = 0; i < 4; ++i) {
      const Tensor state = golden.nhwc(concat("f_zin_", i));
      z.push_back(graph.input(concat("z", i), state.type(), Rate::batch));
      cotangents.push_back(concat({slice(z.back(), 0, 2, 3), slice(z.back(), 0, 0, 2)}, 0));
    }
    const EquilibriumTrace trace =
        trace_equilibrium(golden.model.network.function(injection), z, {.policy = std::make_shared<const OneStep>()});
    const std::vector<Value> gradient = vjp(trace.values, cotangents, std::vector<Value>{injection});
    std::vector<Value> u = adjoint_outputs(graph);
    REQUIRE(u.size() == 4);
    Program program = Program::compile(graph, u, *backend);
    program.bind("injection", injected);
    for (int i = 0; i < 4; ++i) program.bind(concat("z", i), golden.nhwc(concat("f_zin_", i)));
    program.run();
    std::vector<double> in_the_solve;
    for (const Value& block : u)
      for (const double x : elements_of(program.read(block))) in_the_solve.push_back(x);
    CHECK(max_difference(in_the_solve, golden.state("f_vjp_")) < kMapLimit);

    FixedPointMap& map = *program.vjp_map();
    std::vector<double> rolled = golden.state("f_zin_");
    std::size_t begin = 0;
    for (const std::int64_t elems : map.spec().block_elems) {
      const auto first = rolled.begin() + static_cast<std::ptrdiff_t>(begin);
      std::rotate(first, first + 2 * elems, first + 3 * elems);
      begin += static_cast<std::size_t>(3 * elems);
    }
    write_state(map.spec(), rolled, map.input());
    map.replay();
    CHECK(max_difference(read_state(map.spec(), map.output()), golden.state("f_vjp_")) < kMapLimit);
  }
}

TEST_CASE("implicit gradients of a compiled training program are the reference's") {
  const auto folder = test::golden_mdeq_folder();
  if (!folder) return;
  for (const Arithmetic& arithmetic : kArithmetics) {
    CAPTURE(name_of(Device{.kind = arithmetic.device}));
    const Golden golden(*folder);
    const TrainingRun run = train_once(golden, arithmetic);
    CHECK(max_difference(run.logits, golden.cases.at("train_ift_logits")) < kLogitLimit);
    CHECK(run.gradients.size() == golden.gradients.size());
    (void)test::check_gradients(run.gradients, golden.gradients);
  }
}

TEST_CASE("with the reference's dropout masks, logits and gradient norms of a training program are the reference's") {
  const auto folder = test::golden_mdeq_folder();
  if (!folder) return;
  const auto expected = nlohmann::json::parse(test::read_text(*folder / "expected.json"));
  for (const Arithmetic& arithmetic : kArithmetics) {
    CAPTURE(name_of(Device{.kind = arithmetic.device}));
    Golden golden(*folder, /*dropout=*/0.25);
    fix_masks(golden);
    const TrainingRun run = train_once(golden, arithmetic);
    CHECK(max_difference(run.logits, golden.cases.at("train_ift_dropout_logits")) < kLogitLimit);
    for (const auto& [name, norm] : expected["train_ift_dropout"]["grad_norms"].items()) {
      CAPTURE(name);
      double squares = 0;
      for (const double x : elements_of(run.gradients.at(name))) squares += x * x;
      // Gradients that are zero but for rounding need an absolute bound; the others are larger than 1e-3.
      CHECK(std::sqrt(squares) == doctest::Approx(norm.get<double>()).epsilon(1e-3).scale(1e-3));
    }
  }
}

TEST_CASE("three unrolled steps of a compiled training program are the reference's") {
  const auto folder = test::golden_mdeq_folder();
  if (!folder) return;
  for (const Arithmetic& arithmetic : kArithmetics) {
    const Golden golden(*folder);
    CAPTURE(name_of(Device{.kind = arithmetic.device}));
    const auto backend = make_backend({.kind = arithmetic.device});
    Graph graph(Mode::training);
    const Value logits = golden.model.network(golden.image_of(graph), {.unrolled_steps = 3}).logits;
    Program program = Program::compile(graph, std::vector<Value>{logits}, *backend);
    program.bind("image", golden.nhwc("x"));
    program.run();
    CHECK(max_difference(program.read(logits), golden.cases.at("train_unrolled3_logits")) < kLogitLimit);
  }
}

}  // namespace deq
