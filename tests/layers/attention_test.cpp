#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "core/reference/backend.h"
#include "layers/dsl.h"

// A cell that attends: matrices shared over leading axes and a softmax, inside a solve.

using namespace deq;

namespace {

constexpr int kBatch = 5, kTokens = 3, kWidth = 4;

using Normaliser = Value (*)(Value scores);

/// z = tanh(0.6 softmax(z W z^T) z + x): every token hears the others of its own sample.
struct Cell {
  Cell(const ParamScope& scope, Normaliser chosen)
      : w(scope, "w", {kWidth, kWidth}, init::normal(0.5)), normalise(chosen) {}
  Value operator()(Value z, Value x) const {
    const Value scores = matmul(matmul(z, w(z)), z, false, true);
    return deq::tanh(matmul(normalise(scores), z) * 0.6 + x);
  }
  Parameter w;
  Normaliser normalise;
};

/// Samples of growing size, so that solves take different numbers of steps.
Tensor tokens() {
  Tensor out(DType::f32, {kBatch, kTokens, kWidth});
  const auto values = out.data<float>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto sample = static_cast<double>(i / (kTokens * kWidth));
    values[i] = static_cast<float>(std::sin(1.7 * static_cast<double>(i)) * (0.05 + sample * sample * 0.3));
  }
  return out;
}

/// As Cell, with two heads.
struct HeadedCell {
  explicit HeadedCell(const ParamScope& scope) : w(scope, "w", {2, kWidth / 2, kWidth / 2}, init::normal(0.5)) {}
  Value operator()(Value z, Value x) const {
    const auto heads = [](Value y) { return reshape(y, {kBatch, kTokens, 2, -1}); };
    const Value scores = einsum("bqhd,bkhd->bhqk", einsum("bthd,hde->bthe", heads(z), w(z)), heads(z));
    const Value heard = einsum("bhqk,bkhd->bqhd", softmax(scores), heads(z));
    return deq::tanh(reshape(heard, z.shape()) * 0.6 + x);
  }
  Parameter w;
};

std::shared_ptr<const ImplicitPolicy> policy(Compaction compaction) {
  return std::make_shared<ImplicitPolicy>(SolverOptions{.max_steps = 60, .tolerance = {.value = 1e-6}, .patience = 0},
                                          FullAdjoint{.solver = {.max_steps = 60, .tolerance = {.value = 1e-6}}},
                                          compaction);
}

struct Outcome {
  Tensor z, slope;
  SolveReport report;
};

/// Solution and gradient in W of the sum of its squares; by `steps` applications instead of a solve where given.
Outcome outcome(Backend& backend, Normaliser normalise, Compaction compaction, int steps = 0) {
  ParameterStore store(/*seed=*/3);
  const Cell cell(ParamScope(store), normalise);
  Graph graph(Mode::training);
  const Value x = graph.input("x", {DType::f32, {kBatch, kTokens, kWidth}}, Rate::batch);
  const layers::Equilibrium layer(cell, {.policy = policy(compaction)});
  const Value z = steps > 0 ? layer.unrolled(x, {zeros_like(x)}, steps).front() : layer(x);
  const Value slope = gradients(sum(square(z)), store.trainable(graph)).front();
  Program program = Program::compile(graph, {z, slope}, backend);
  program.bind(x, tokens());
  program.run();
  const SolveReport* const report = program.forward_report();
  return {program.read(z), program.read(slope), report != nullptr ? *report : SolveReport{}};
}

double distance(const Tensor& a, const Tensor& b) {
  double worst = 0;
  for (std::size_t i = 0; i < a.data<float>().size(); ++i)
    worst = std::max(worst, std::abs(static_cast<double>(a.data<float>()[i] - b.data<float>()[i])));
  return worst;
}

Value by_logarithm(Value scores) { return exp(log_softmax(scores)); }

}  // namespace

TEST_CASE("attention in a solve has the solution and the gradient of many applications") {
  ReferenceBackend reference;
  for (const Normaliser normalise : {Normaliser{softmax}, Normaliser{by_logarithm}}) {
    const Outcome solved = outcome(reference, normalise, Compaction::off);
    const Outcome unrolled = outcome(reference, normalise, Compaction::off, 80);
    CHECK(solved.report.count(SolveStatus::converged) == kBatch);  // one solve a sample: none hears another
    CHECK(distance(solved.z, unrolled.z) < 1e-5);
    CHECK(distance(solved.slope, unrolled.slope) < 1e-4);
  }
}

TEST_CASE("samples of an attending solve leave the batch when they are done") {
  CpuBackend cpu;
  for (const Normaliser normalise : {Normaliser{softmax}, Normaliser{by_logarithm}}) {
    const Outcome together = outcome(cpu, normalise, Compaction::off);
    const Outcome compacting = outcome(cpu, normalise, Compaction::on);
    CHECK(compacting.report.evaluations_saved() > 0.0);
    CHECK(compacting.report.steps == together.report.steps);
    CHECK(distance(compacting.z, together.z) < 1e-5);
    CHECK(distance(compacting.slope, together.slope) < 1e-4);
  }
}

TEST_CASE("samples stay apart in products that einsum makes of them") {
  ParameterStore store(/*seed=*/3);
  const HeadedCell cell{ParamScope(store)};
  CpuBackend cpu;
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {kBatch, kTokens, kWidth}}, Rate::batch);
  const Value z = equilibrium(cell, x, {.policy = policy(Compaction::on)});
  const Value often =
      unrolled([&](std::span<const Value> state) { return std::vector{cell(state[0], x)}; }, {zeros_like(x)}, 80)[0];
  Program program = Program::compile(graph, {z, often}, cpu);
  program.bind(x, tokens());
  program.run();
  CHECK(program.forward_report()->count(SolveStatus::converged) == kBatch);
  CHECK(program.forward_report()->evaluations_saved() > 0.0);
  CHECK(distance(program.read(z), program.read(often)) < 1e-5);
}
