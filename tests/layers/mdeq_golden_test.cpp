#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>

#include "autodiff/vjp.h"
#include "core/builder.h"
#include "data/safetensors.h"
#include "evaluate.h"
#include "layers/mdeq/mdeq.h"

using namespace deq;
using namespace deq::layers_tests;

// Compared with the reference implementation (github.com/locuslab/deq) on a small model with every structural option;
// its results were computed in double from float32 inputs.

namespace {

MdeqConfig golden_config() {
  MdeqConfig config;
  config.classes = 7;
  config.channels = {8, 16, 16, 24};
  config.blocks = {1, 2, 1, 1};
  config.big_kernels = {1, 2, 0, 0};
  config.head_channels = {2, 4, 4, 8};
  config.final_channels = 24;
  config.expansion = 2;
  config.downsample_times = 2;
  return config;
}

std::optional<std::filesystem::path> golden_folder() {
  const char* root = std::getenv("DEQ_REFERENCE_DIR");
  if (root == nullptr) {
    std::cout << "SKIPPED: DEQ_REFERENCE_DIR is not set\n";
    return {};
  }
  return std::filesystem::path(root) / "mdeq-mini";
}

/// [B,C,H,W] -> [B,H,W,C]; floats of either width.
Tensor to_nhwc(const Tensor& nchw) {
  const Shape& s = nchw.shape();
  Tensor out(DType::f32, {s[0], s[2], s[3], s[1]});
  const std::span<const float> in = nchw.data<float>();
  const std::span<float> to = out.data<float>();
  std::size_t k = 0;
  for (std::int64_t b = 0; b < s[0]; ++b)
    for (std::int64_t y = 0; y < s[2]; ++y)
      for (std::int64_t x = 0; x < s[3]; ++x)
        for (std::int64_t c = 0; c < s[1]; ++c)
          to[k++] = in[static_cast<std::size_t>(((b * s[1] + c) * s[2] + y) * s[3] + x)];
  return out;
}

std::vector<double> elements_of(const Tensor& tensor) {
  if (tensor.dtype() == DType::f64) {
    const auto data = tensor.data<double>();
    return {data.begin(), data.end()};
  }
  const auto data = tensor.data<float>();
  return {data.begin(), data.end()};
}

struct Golden {
  explicit Golden(const std::filesystem::path& folder)
      : model(ParamScope(store), golden_config()), cases(read_safetensors(folder / "case.safetensors").tensors) {
    const std::map<std::string, Tensor> weights = read_safetensors(folder / "weights.safetensors").tensors;
    CHECK(weights.size() == store.entries().size());
    for (const auto& [name, tensor] : weights) store.set(name, tensor);
  }

  [[nodiscard]] Value image_of(Graph& graph) const {
    const Shape& s = cases.at("x").shape();
    return graph.input("image", {DType::f32, {s[0], s[2], s[3], s[1]}}, Rate::batch);
  }
  [[nodiscard]] Tensor nhwc(const std::string& name) const { return to_nhwc(cases.at(name)); }

  ParameterStore store;
  Mdeq model;
  std::map<std::string, Tensor> cases;
};

/// States named like the golden tensors, bound to them.
std::vector<Value> bound_states(Graph& graph, const Golden& golden, const std::string& stem, Bindings& bindings) {
  std::vector<Value> states;
  for (int i = 0; i < golden.model.config.branches(); ++i) {
    const std::string name = stem + std::to_string(i);
    const Tensor tensor = golden.nhwc(name);
    states.push_back(graph.input(name, tensor.type(), Rate::batch));
    bindings[name] = tensor;
  }
  return states;
}

// The golden values are stored as float32 of O(1) numbers, and the inputs were too.
constexpr double kStored = 1e-5;

}  // namespace

TEST_CASE("stem, f and head of a small model agree with the reference implementation") {
  const auto folder = golden_folder();
  if (!folder) return;
  const Golden golden(*folder);
  CHECK(golden.store.trainable_elements() == 119587);
  Graph graph(Mode::inference);
  Bindings bindings{{"image", golden.nhwc("x")}};
  const Value injection = golden.model.injection(golden.image_of(graph));
  CHECK(max_difference(evaluate(injection, bindings), elements_of(golden.nhwc("injection_eval"))) < kStored);

  const std::vector<Value> z = bound_states(graph, golden, "f_zin_", bindings);
  const std::vector<std::vector<double>> f = evaluate_all(golden.model.function(injection)(z), bindings);
  for (std::size_t i = 0; i < f.size(); ++i) {
    CAPTURE(i);
    CHECK(max_difference(f[i], elements_of(golden.nhwc("f_out_" + std::to_string(i)))) < kStored);
  }

  const std::vector<Value> solved = bound_states(graph, golden, "eval_tight_z_", bindings);
  const std::vector<double> logits = evaluate(golden.model.head(solved), bindings);
  CHECK(max_difference(logits, elements_of(golden.cases.at("eval_tight_logits"))) < kStored);
}

TEST_CASE("f leaves the reference's solved states where they are") {
  const auto folder = golden_folder();
  if (!folder) return;
  const Golden golden(*folder);
  Graph graph(Mode::inference);
  Bindings bindings{{"image", golden.nhwc("x")}};
  const std::vector<Value> z = bound_states(graph, golden, "eval_tight_z_", bindings);
  const auto f = evaluate_all(golden.model.function(golden.model.injection(golden.image_of(graph)))(z), bindings);
  for (std::size_t i = 0; i < f.size(); ++i)
    CHECK(max_difference(f[i], elements_of(bindings.at("eval_tight_z_" + std::to_string(i)))) < kStored);
}

TEST_CASE("three unrolled steps in training mode agree with the reference implementation") {
  const auto folder = golden_folder();
  if (!folder) return;
  const Golden golden(*folder);
  Graph graph(Mode::training);
  const Mdeq::Output output = golden.model(golden.image_of(graph), {.unrolled_steps = 3});
  const std::vector<double> logits = evaluate(output.logits, {{"image", golden.nhwc("x")}});
  // Batch statistics over few pixels: rounding of the float32 parameters is not amplified in double.
  CHECK(max_difference(logits, elements_of(golden.cases.at("train_unrolled3_logits"))) < 1e-7);
}

TEST_CASE("the pullback of f agrees with the reference implementation") {
  const auto folder = golden_folder();
  if (!folder) return;
  const Golden golden(*folder);
  Graph graph(Mode::inference);
  Bindings bindings{{"image", golden.nhwc("x")}};
  const std::vector<Value> z = bound_states(graph, golden, "f_zin_", bindings);
  const std::vector<Value> y = golden.model.function(golden.model.injection(golden.image_of(graph)))(z);
  // The golden cotangent is the state moved on by one sample.
  std::vector<Value> cotangents;
  for (const Value& state : z) {
    const std::int64_t batch = state.shape()[0];
    cotangents.push_back(concat({slice(state, 0, batch - 1, batch), slice(state, 0, 0, batch - 1)}, 0));
  }
  const std::vector<std::vector<double>> pullback = evaluate_all(vjp(y, cotangents, z), bindings);
  for (std::size_t i = 0; i < pullback.size(); ++i) {
    CAPTURE(i);
    CHECK(max_difference(pullback[i], elements_of(golden.nhwc("f_vjp_" + std::to_string(i)))) < kStored);
  }
}
