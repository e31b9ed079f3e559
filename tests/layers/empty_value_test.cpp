#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "layers/dsl.h"
#include "layers/graph_problem.h"
#include "layers/mdeq/mdeq.h"
#include "layers/pixel_cross_entropy.h"
#include "layers/trajectory.h"
#include "layers/weight_norm.h"

using namespace deq;

namespace {

struct Use {
  std::string name;
  std::string layer;
  std::function<void(Value)> run;
};

void expect_named(const std::vector<Use>& uses) {
  for (const Use& use : uses) {
    CAPTURE(use.name);
    try {
      use.run(Value{});
      FAIL_CHECK("took the empty value");
    } catch (const Error& error) {
      const std::string message = error.what();
      CAPTURE(message);
      CHECK(message.starts_with(use.name + ": an empty value: "));
      CHECK((use.layer.empty() || message.ends_with("(layer '" + use.layer + "')")));
    }
  }
}

}  // namespace

TEST_CASE("layers with parameters name themselves and their place when they are given an empty value") {
  ParameterStore store;
  const ParamScope scope(store);
  expect_named(
      {{"linear", "fc", layers::Linear(scope / "fc", 2, 3)},
       {"conv2d", "conv", layers::Conv2d(scope / "conv", 2, 3, 1)},
       {"conv2d", "normed", layers::Conv2d(scope / "normed", 2, 3, 1, {.has_weight_norm = true})},
       {"group_norm", "gn", layers::GroupNorm(scope / "gn", 4, 2)},
       {"layer_norm", "ln", layers::LayerNorm(scope / "ln", 4)},
       {"batch_norm", "bn", layers::BatchNorm(scope / "bn", 4)},
       {"self_attention", "mix", [layer = layers::SelfAttention(scope / "mix", 4, 2)](Value x) { (void)layer(x); }},
       {"embedding", "table", layers::Embedding(scope / "table", 3, 2)},
       {"dropout", "drop", layers::Dropout(scope / "drop", 0.5)},
       {"dropout", "masks", layers::VariationalDropout(scope / "masks", 0.5)}});
}

TEST_CASE("layers without parameters name their operation") {
  ParameterStore store;
  expect_named({{"relu", "", layers::Relu()},
                {"tanh", "", layers::Tanh()},
                {"avg_pool", "", layers::AvgPool{.window = {}}},
                {"max_pool", "", layers::MaxPool{.window = {}}},
                {"global_avg_pool", "", layers::GlobalAvgPool()},
                {"flatten", "", layers::Flatten()},
                {"linear", "0", layers::Sequential(layers::Linear(ParamScope(store) / 0, 2, 3), layers::Relu())}});
}

TEST_CASE("parameters and functions of this folder name themselves") {
  ParameterStore store;
  const Parameter weight(ParamScope(store), "fc.weight", {2}, init::ones());
  Graph graph;
  const Value labels = graph.input("labels", {DType::i32, {1, 2, 2}}, Rate::batch);
  const auto ones = std::make_shared<Tensor>(Tensor::of({3, 1}, std::vector<float>(3, 1.0F)));
  expect_named({{"fc.weight", "", [&](Value x) { (void)weight(x); }},
                {"weight_norm", "", [](Value x) { (void)layers::weight_norm(x, x); }},
                {"pixel cross-entropy", "", [&](Value x) { (void)layers::pixel_cross_entropy(x, labels, ones); }},
                {"affine", "", [](Value x) { (void)corrected_loss({x}, {1.0}); }}});
  const Value scores = graph.input("scores", {DType::f32, {1, 2, 2, 3}}, Rate::batch);
  CHECK_THROWS_WITH_AS((void)layers::pixel_cross_entropy(scores, labels, nullptr),
                       doctest::Contains("there are no weights"), Error);
}

TEST_CASE("a multiscale model refuses an empty image and states of another number") {
  ParameterStore store;
  const Mdeq model(ParamScope(store), MdeqConfig::cifar10_tiny());
  expect_named({{"mdeq", "", [&](Value x) { (void)model(x, {}); }},
                {"conv2d", "downsample.0", [&](Value x) { (void)model.injection(x); }}});
  CHECK_THROWS_WITH_AS((void)model.head({}), doctest::Contains("mdeq: 0 states for "), Error);
}
