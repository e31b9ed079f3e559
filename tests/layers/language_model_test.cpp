#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "core/reference/backend.h"
#include "evaluate.h"
#include "layers/difference_check.h"
#include "layers/dsl.h"
#include "layers/gradient_audit.h"

// A language model whose block is an equilibrium (examples/language_model.cpp), small enough for differences in double.

using namespace deq;
using namespace deq::layers_tests;

namespace {

constexpr int kBatch = 2, kLength = 4, kWidth = 6, kBytes = 5;

struct Block {
  explicit Block(const ParamScope& scope)
      : attend(scope / "attend", kWidth, 2, {.is_causal = true}),
        widen(scope / "widen", kWidth, 8),
        narrow(scope / "narrow", 8, kWidth),
        first(scope / "first_norm", kWidth),
        second(scope / "second_norm", kWidth) {}
  Value operator()(Value z, Value x) const {
    const Value heard = first(x + attend(z));
    return second(heard + narrow(gelu(widen(heard))));
  }
  layers::SelfAttention attend;
  layers::Linear widen, narrow;
  layers::LayerNorm first, second;
};

struct TinyModel {
  TinyModel()
      : bytes(ParamScope(store) / "bytes", kBytes, kWidth),
        place(ParamScope(store), "place", {kLength, kWidth}, init::normal(0.5)),
        block(ParamScope(store) / "block") {}

  [[nodiscard]] Value state(Value text, std::shared_ptr<const EquilibriumPolicy> policy) const {
    return equilibrium(block, bytes(text) + place(text), {.policy = std::move(policy)});
  }
  /// Mean cross-entropy of the next bytes, by the embedding as the last layer.
  [[nodiscard]] Value loss(Graph& graph, const std::shared_ptr<const EquilibriumPolicy>& policy) const {
    const TensorType windows{DType::i32, {kBatch, kLength}};
    const Value text = graph.input("text", windows, Rate::batch), next = graph.input("next", windows, Rate::batch);
    const Value scores = matmul(state(text, policy), bytes.weight(graph), false, true);
    return mean(softmax_cross_entropy(scores, next).loss);
  }

  ParameterStore store{5};
  layers::Embedding bytes;
  Parameter place;
  Block block;
};

Bindings texts() {
  return {{"text", Tensor::of({kBatch, kLength}, std::vector<std::int32_t>{0, 3, 1, 4, 2, 2, 0, 1})},
          {"next", Tensor::of({kBatch, kLength}, std::vector<std::int32_t>{3, 1, 4, 2, 2, 0, 1, 3})}};
}

std::shared_ptr<const EquilibriumPolicy> tight(double tolerance) {
  const SolverOptions solver{.max_steps = 120, .tolerance = {.value = tolerance}, .patience = 0};
  return std::make_shared<ImplicitPolicy>(solver, FullAdjoint{.solver = solver});
}

}  // namespace

TEST_CASE("the exact gradient of a language model in an equilibrium is that of differences in double") {
  const TinyModel model;
  ReferenceBackend reference;
  Graph graph(Mode::training);
  const Value loss = model.loss(graph, tight(1e-12));
  std::vector<Value> outputs{loss};
  std::ranges::copy(gradients(loss, model.store.trainable(graph)), std::back_inserter(outputs));
  Program program = Program::compile(graph, outputs, reference);
  for (const auto& [name, value] : texts()) program.bind(name, value);
  const auto read = [&](Value output) {
    Tensor out(DType::f64, output.shape());
    program.read(output, out);
    return out;
  };
  program.run();
  CHECK(program.forward_report()->count(SolveStatus::converged) == kBatch);
  CHECK(program.backward_report()->count(SolveStatus::converged) == kBatch);
  std::vector<Tensor> slopes;
  for (std::size_t i = 1; i < outputs.size(); ++i) slopes.push_back(read(outputs[i]));

  double worst = 0;
  for (std::size_t i = 0; i < slopes.size(); ++i) {
    Tensor& weight = *model.store.entries()[i].value;
    const std::size_t stride = std::max<std::size_t>(1, weight.data<float>().size() / 4);
    for (std::size_t element = 0; element < weight.data<float>().size(); element += stride) {
      const float middle = weight.data<float>()[element];
      const auto loss_at = [&](float value) {
        weight.data<float>()[element] = value;
        weight.touch();
        program.run();
        return read(loss).data<double>()[0];
      };
      const auto difference = [&](float step) {  // of the floats that are really there
        const float above = middle + step, below = middle - step;
        return (loss_at(above) - loss_at(below)) / (static_cast<double>(above) - static_cast<double>(below));
      };
      const double coarse = difference(0x1p-9F), fine = difference(0x1p-10F);
      loss_at(middle);
      const double numeric = fine + (fine - coarse) / 3, analytic = slopes[i].data<double>()[element];
      worst = std::max(worst, std::abs(numeric - analytic));
    }
  }
  CHECK(worst < 1e-6);  // gradients are around 0.1
}

TEST_CASE("sequences of a language model are solved apart, and what comes later does not reach what came before") {
  const TinyModel model;
  CpuBackend cpu;
  Graph graph;
  const Value text = graph.input("text", {DType::i32, {kBatch, kLength}}, Rate::batch);
  const Value z = model.state(text, tight(1e-6));
  Program program = Program::compile(graph, {z}, cpu);
  std::vector<std::int32_t> letters{0, 3, 1, 4, 2, 2, 0, 1};
  const auto solve = [&] {
    program.bind(text, Tensor::of({kBatch, kLength}, letters));
    program.run();
    CHECK(program.forward_report()->steps.size() == kBatch);
    CHECK(program.forward_report()->count(SolveStatus::converged) == kBatch);
    return program.read(z);
  };
  const Tensor before = solve();
  letters[3] = 0;  // the last of the first sequence
  const Tensor after = solve();
  double earlier = 0, changed = 0, other = 0;
  for (std::size_t i = 0; i < kBatch * kLength * kWidth; ++i) {
    const double difference = std::abs(static_cast<double>(before.data<float>()[i] - after.data<float>()[i]));
    double& largest = i < 3 * kWidth ? earlier : i < 4 * kWidth ? changed : other;
    largest = std::max(largest, difference);
  }
  CHECK(earlier < 1e-5);  // solved to 1e-6 twice, by other steps
  CHECK(changed > 0.1);
  CHECK(other == 0.0);
}

TEST_CASE("the audit ranks a language model's gradients: exact agrees with differences, refining helps") {
  const TinyModel model;
  const AuditedModel audited{
      &model.store, [&](Graph& graph, const AuditPolicy& policy) { return AuditedLoss{model.loss(graph, policy)}; }};
  AuditInputs batch;
  for (const auto& [name, value] : texts()) batch.emplace(name, value);
  CpuBackend cpu;
  const auto estimator = [](const std::string& name) {
    return AuditedEstimator{name, policy_from_name(name, {.max_steps = 60, .tolerance = {.value = 1e-6}})};
  };
  const AuditResult result = audit(audited, estimator("exact"),
                                   {estimator("jfb"), estimator("shine"), estimator("shine-refine-5")}, {batch}, cpu);
  const auto error_of = [&](std::size_t i) { return result.estimators[i].relative_error; };
  CHECK(error_of(1) < error_of(0));
  CHECK(error_of(2) < 0.1 * error_of(0));
  CHECK(check_by_differences(audited, estimator("exact").policy, batch, cpu).relative_difference < 1e-2);
}
