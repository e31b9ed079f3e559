#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "autodiff/gradcheck.h"
#include "autodiff/jacobian_penalty.h"
#include "core/builder.h"
#include "evaluate.h"
#include "layers/mdeq/mdeq.h"

using namespace deq;
using namespace deq::layers_tests;

namespace {

// What is promised of the penalty's gradient; the differences themselves are good to about 1e-8 here, where many relus
// and two derivatives of group norm lie in between.
constexpr double kPromised = 1e-4;

/// Two branches with all that a block has, its injection from the stem, and the Jacobian penalty at given states.
struct PenalisedModel {
  explicit PenalisedModel(bool has_dropout) : network(ParamScope(store), config(has_dropout)) {
    const Value image = graph.input("image", {DType::f32, {2, 8, 8, 3}}, Rate::batch);
    bindings["image"] = wave(image.shape());
    bindings["rng_seed"] = Tensor::of<std::int64_t>({2}, std::vector<std::int64_t>{3, 1});
    std::vector<Value> z;
    for (const Shape& shape : network.config.state_shapes(image.shape())) {
      const std::string name = concat("z", z.size());
      z.push_back(graph.input(name, {DType::f32, shape}, Rate::batch));
      bindings[name] = wave(shape, 0.7 + static_cast<double>(z.size()));
    }
    const std::vector<Value> y = network.function(network.injection(image))(z);
    // Scaled so that its derivatives are of order one.
    penalty = jacobian_penalty(y, z, /*probes=*/2) * 100.0;
  }
  static MdeqConfig config(bool has_dropout) {
    MdeqConfig out;
    out.channels = {4, 8};
    out.head_channels = {2, 2};
    out.final_channels = 4;
    out.expansion = 2;
    out.groups = 2;
    out.dropout = has_dropout ? 0.3 : 0.0;
    return out;
  }

  ParameterStore store{7};
  Mdeq network;
  Graph graph{Mode::training};
  Bindings bindings;
  Value penalty;
};

}  // namespace

TEST_CASE("the Jacobian penalty of an MDEQ has the gradient that central differences find") {
  for (const bool has_dropout : {false, true}) {
    CAPTURE(has_dropout);
    PenalisedModel model(has_dropout);
    // One of each kind: weight norm's length and direction, norms, fusion down and up, and, through the injection, the
    // stem under batch statistics.
    const std::vector<std::string> names{"fullstage.branches.0.blocks.0.conv1.weight_v",
                                         "fullstage.branches.0.blocks.0.conv1.weight_g",
                                         "fullstage.branches.1.blocks.0.conv2.weight_v",
                                         "fullstage.branches.0.blocks.0.gn1.weight",
                                         "fullstage.branches.1.blocks.0.gn2.bias",
                                         "fullstage.branches.0.blocks.0.gn3.weight",
                                         "fullstage.fuse_layers.1.0.net.0.conv.weight",
                                         "fullstage.fuse_layers.0.1.net.conv.weight",
                                         "fullstage.fuse_layers.0.1.net.gnorm.weight",
                                         "fullstage.post_fuse_layers.0.conv.weight_v",
                                         "fullstage.post_fuse_layers.1.gnorm.weight",
                                         "downsample.0.weight",
                                         "downsample.4.bias"};
    for (const std::string& name : names) model.bindings[name] = *model.store.find(name).value;

    const GradcheckReport report = gradcheck(std::vector<Value>{model.penalty}, model.bindings, names,
                                             {.elements_per_input = 1, .directions = 1, .step = 1e-4});

    INFO(report.worst);
    CHECK(report.worst_error <= kPromised);
    CHECK(report.checks == static_cast<int>(2 * names.size()));
  }
}
