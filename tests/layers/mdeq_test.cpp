#include "layers/mdeq/mdeq.h"

#include <doctest/doctest.h>

#include <cmath>
#include <utility>

#include "evaluate.h"

using namespace deq;
using namespace deq::layers_tests;

namespace {

Shape shape_of(const ParameterStore& store, const std::string& name) { return store.find(name).value->shape(); }

MdeqConfig small() {
  MdeqConfig config;
  config.channels = {8, 16, 8};
  config.head_channels = {2, 3, 4};
  config.final_channels = 6;
  config.classes = 5;
  config.expansion = 2;
  config.dropout = 0.5;
  return config;
}

}  // namespace

// Counts were measured on the reference implementation (github.com/locuslab/deq, commit 1fb7059).
TEST_CASE("published configurations have the published number of parameters") {
  struct Row {
    const char* name;
    MdeqConfig config;
    std::int64_t total, stem, stage0, f;
  };
  const Row rows[] = {
      {"cifar10 tiny", MdeqConfig::cifar10_tiny(), 158890, 5928, 0, 111696},
      {"cifar10 large", MdeqConfig::cifar10_large(), 11097438, 10208, 1088, 8715232},
      {"cifar10 large reg", MdeqConfig::cifar10_large_reg(), 11097438, 10208, 1088, 8715232},
      {"imagenet small", MdeqConfig::imagenet_small(), 16808936, 10208, 1088, 8716192},
      {"imagenet small reg", MdeqConfig::imagenet_small_reg(), 18613496, 10208, 1088, 8715232},
      {"cityscapes small", MdeqConfig::cityscapes_small(), 8968467, 10208, 1088, 8716192},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    ParameterStore store(0, ParameterStart::zeros);
    const Mdeq model(ParamScope(store), row.config);
    CHECK(store.trainable_elements() == row.total);
    CHECK(store.trainable_elements("downsample.") == row.stem);
    CHECK(store.trainable_elements("stage0.") == row.stage0);
    CHECK(store.trainable_elements("fullstage.") == row.f);
  }
}

TEST_CASE("the largest published configurations have the published number of parameters") {
  const std::pair<MdeqConfig, std::int64_t> rows[] = {
      {MdeqConfig::imagenet_large(), 67063624}, {MdeqConfig::imagenet_large_reg(), 67061224},
      {MdeqConfig::imagenet_xl(), 90463280},    {MdeqConfig::cityscapes_large(), 55955859},
      {MdeqConfig::cityscapes_xl(), 79551755},
  };
  for (const auto& [config, total] : rows) {
    ParameterStore store(0, ParameterStart::zeros);
    const Mdeq model(ParamScope(store), config);
    CHECK(store.trainable_elements() == total);
  }
}

TEST_CASE("the head of the tiny model splits as published") {
  ParameterStore store;
  const Mdeq model(ParamScope(store), MdeqConfig::cifar10_tiny());
  CHECK(store.trainable_elements("incre_modules.") == 7232);
  CHECK(store.trainable_elements("downsamp_modules.") == 18624);
  CHECK(store.trainable_elements("final_layer.") == 13400);
  CHECK(store.trainable_elements("classifier.") == 2010);
}

TEST_CASE("states have the published sizes") {
  CHECK(MdeqConfig::cifar10_tiny().state_elements(32, 32) == 30720);
  CHECK(MdeqConfig::cifar10_large().state_elements(32, 32) == 61440);
  CHECK(MdeqConfig::imagenet_small().state_elements(224, 224) == 188160);
  CHECK(MdeqConfig::imagenet_large().state_elements(224, 224) == 470400);
  CHECK(MdeqConfig::imagenet_xl().state_elements(224, 224) == 517440);
  CHECK(MdeqConfig::cityscapes_small().state_elements(512, 1024) == 1966080);
  CHECK(MdeqConfig::cityscapes_large().state_elements(512, 1024) == 4915200);
  CHECK(MdeqConfig::cityscapes_xl().state_elements(768, 1024) == 8110080);
}

TEST_CASE("parameters carry the published names and layouts") {
  ParameterStore store(0, ParameterStart::zeros);
  const Mdeq model(ParamScope(store), MdeqConfig::imagenet_small());
  CHECK(shape_of(store, "downsample.0.weight") == Shape{32, 3, 3, 3});
  CHECK(shape_of(store, "downsample.4.running_var") == Shape{32});
  CHECK(shape_of(store, "stage0.0.weight") == Shape{32, 32, 1, 1});
  CHECK(shape_of(store, "fullstage.branches.1.blocks.0.conv1.weight_v") == Shape{320, 64, 3, 3});
  CHECK(shape_of(store, "fullstage.branches.1.blocks.0.conv1.weight_g") == Shape{320, 1, 1, 1});
  CHECK(shape_of(store, "fullstage.fuse_layers.3.1.net.0.conv.weight") == Shape{64, 64, 3, 3});
  CHECK(shape_of(store, "fullstage.fuse_layers.3.1.net.1.conv.weight") == Shape{256, 64, 3, 3});
  CHECK(shape_of(store, "fullstage.fuse_layers.0.3.net.gnorm.bias") == Shape{32});
  CHECK(shape_of(store, "fullstage.post_fuse_layers.2.conv.weight_v") == Shape{128, 128, 1, 1});
  CHECK(shape_of(store, "incre_modules.0.0.downsample.0.weight") == Shape{96, 32, 1, 1});
  CHECK(shape_of(store, "incre_modules.0.0.bn3.running_mean") == Shape{96});
  CHECK_FALSE(store.contains("incre_modules.0.0.bn3.weight"));
  CHECK(shape_of(store, "downsamp_modules.2.0.bias") == Shape{768});
  CHECK(shape_of(store, "classifier.weight") == Shape{1000, 2048});
}

TEST_CASE("initialisation follows the published models") {
  ParameterStore store(42);
  const Mdeq model(ParamScope(store), MdeqConfig::cifar10_tiny());
  const auto deviation = [&](const std::string& name) {
    double square = 0;
    const auto elements = std::as_const(*store.find(name).value).data<float>();
    for (const float x : elements) square += static_cast<double>(x) * x;
    return std::sqrt(square / static_cast<double>(elements.size()));
  };
  CHECK(deviation("downsample.3.weight") == doctest::Approx(0.01).epsilon(0.05));
  CHECK(deviation("fullstage.fuse_layers.1.0.net.0.conv.weight") == doctest::Approx(0.01).epsilon(0.05));
  CHECK(deviation("final_layer.0.bias") == doctest::Approx(0.01).epsilon(0.2));
  // U(+-1/sqrt(n)) has deviation 1/sqrt(3 n), so a row of n elements has length 0.577.
  CHECK(deviation("fullstage.branches.0.blocks.0.conv1.weight_v") ==
        doctest::Approx(1 / std::sqrt(3.0 * 216)).epsilon(0.02));
  CHECK(deviation("fullstage.branches.0.blocks.0.conv1.weight_g") == doctest::Approx(0.577).epsilon(0.02));
  CHECK(deviation("fullstage.branches.0.blocks.0.gn1.weight") == 1.0);
}

TEST_CASE("a model traces in both modes, solved and unrolled, at odd sizes") {
  ParameterStore store;
  const Mdeq model(ParamScope(store), small());
  for (const Mode mode : {Mode::training, Mode::inference})
    for (const int steps : {0, 2}) {
      Graph graph(mode);
      const Value image = graph.input("image", {DType::f32, {2, 9, 7, 3}}, Rate::batch);
      const Mdeq::Output output = model(image, {.unrolled_steps = steps, .equilibrium = {.policy = traced_policy()}});
      CHECK(output.logits.shape() == Shape{2, 5});
      CHECK(output.equilibrium.has_value() == (steps == 0));
      CHECK(output.states[2].shape() == Shape{2, 3, 2, 8});
      // One mask per block in training; running statistics are assigned once each.
      CHECK(nodes_with<Random>(graph).size() == (mode == Mode::training ? 3 : 0));
      std::size_t buffers = 0;
      for (const ParameterEntry& entry : store.entries()) buffers += entry.is_trainable ? 0 : 1;
      CHECK(graph.assignments().size() == (mode == Mode::training ? buffers : 0));
    }
}

TEST_CASE("earlier slices of a solve get scores of their own and a start is drawn in training alone") {
  ParameterStore store;
  MdeqConfig config = small();
  config.dropout = 0;
  const Mdeq model(ParamScope(store), config);
  for (const Mode mode : {Mode::training, Mode::inference}) {
    Graph graph(mode);
    const Value image = graph.input("image", {DType::f32, {2, 8, 8, 3}}, Rate::batch);
    const EquilibriumOptions slice{.policy = traced_policy()};
    const Mdeq::Output output =
        model(image, {.equilibrium = slice, .earlier = {slice, slice}, .start = {.kind = StartKind::mixed}});
    REQUIRE(output.earlier_logits.size() == 2);
    CHECK(output.earlier_logits[0].shape() == output.logits.shape());
    CHECK(output.earlier_logits[0] != output.logits);
    CHECK(nodes_with<deq::Equilibrium>(graph).size() == 3);
    // A Gaussian for each of three states, and one choice.
    CHECK(nodes_with<Random>(graph).size() == (mode == Mode::training ? 4 : 0));
    // The head's batch norms learn from the last state, whose scores are traced first.
    std::size_t buffers = 0;
    for (const ParameterEntry& entry : store.entries()) buffers += entry.is_trainable ? 0 : 1;
    CHECK(graph.assignments().size() == (mode == Mode::training ? buffers : 0));
  }
}

TEST_CASE("only convolutions of the state and what follows them run in the solver loop") {
  ParameterStore store;
  const Mdeq model(ParamScope(store), small());
  Graph graph(Mode::training);
  const Value image = graph.input("image", {DType::f32, {2, 8, 8, 3}}, Rate::batch);
  model(image, {.equilibrium = {.policy = traced_policy()}});
  int in_loop = 0;
  for (const NodeId id : nodes_with<Conv2d>(graph)) {
    if (graph.node(id).rate != Rate::iterate) continue;
    ++in_loop;
    CHECK(graph.rate(graph.node(id).inputs[1]) == Rate::step);
  }
  // Three branches: two convolutions each, six paths of which one has two stages, three after fusion.
  CHECK(in_loop == 3 * 2 + 7 + 3);
  for (const NodeId id : nodes_with<Random>(graph)) CHECK(graph.node(id).rate == Rate::batch);
}

TEST_CASE("one branch is residual blocks alone") {
  MdeqConfig config = small();
  config.channels = {8};
  config.head_channels = {2};
  ParameterStore store;
  const Mdeq model(ParamScope(store), config);
  CHECK(store.trainable_elements("fullstage.fuse_layers") == 0);
  Graph graph;
  const Value image = graph.input("image", {DType::f32, {1, 8, 8, 3}}, Rate::batch);
  CHECK(model(image, {.unrolled_steps = 1}).logits.shape() == Shape{1, 5});
}

TEST_CASE("segmentation scores every pixel of the first branch") {
  MdeqConfig config = small();
  config.task = MdeqTask::segmentation;
  config.downsample_times = 3;
  ParameterStore store;
  const Mdeq model(ParamScope(store), config);
  CHECK(shape_of(store, "downsample.6.weight") == Shape{8, 8, 3, 3});
  CHECK(shape_of(store, "last_layer.0.weight") == Shape{32, 32, 1, 1});
  Graph graph;
  const Value image = graph.input("image", {DType::f32, {1, 32, 64, 3}}, Rate::batch);
  CHECK(model(image, {.unrolled_steps = 1}).logits.shape() == Shape{1, 4, 8, 5});
}

TEST_CASE("impossible configurations are refused by key") {
  ParameterStore store;
  MdeqConfig config = small();
  config.head_channels = {2};
  CHECK_THROWS_WITH_AS(Mdeq(ParamScope(store), config), "mdeq: head_channels has 1 entries for 3 branches",
                       RequestError);
  config = small();
  config.channels[1] = 12;
  CHECK_THROWS_WITH_AS(Mdeq(ParamScope(store), config), "mdeq: 12 channels do not divide into 8 groups", RequestError);
}
