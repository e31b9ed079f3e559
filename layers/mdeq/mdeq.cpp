#include "layers/mdeq/mdeq.h"

#include "core/error.h"

namespace deq {
namespace {

MdeqConfig validated(const MdeqConfig& config) {
  config.validate();
  return config;
}

}  // namespace

Mdeq::Mdeq(const ParamScope& scope, const MdeqConfig& chosen)
    : config(validated(chosen)), stem(scope, config), transformation(scope / "fullstage", config) {
  switch (config.task) {
    case MdeqTask::classification: classification.emplace(scope, config); break;
    case MdeqTask::segmentation: segmentation.emplace(scope, config); break;
  }
}

Mdeq::Output Mdeq::operator()(Value image, const MdeqForward& forward) const {
  const Value injected = stem(image);
  std::vector<Value> z0;
  for (const Shape& shape : config.state_shapes(image.shape())) z0.push_back(constant(*image.graph, 0.0, shape));

  Output output;
  output.injected = injected;
  if (forward.unrolled_steps > 0) {
    output.states = unrolled(function(injected), z0, forward.unrolled_steps);
  } else {
    EquilibriumOptions options = forward.equilibrium;
    if (forward.outer_loss)
      options.outer_loss = [&](std::span<const Value> z) { return forward.outer_loss(head({z.begin(), z.end()})); };
    output.equilibrium = trace_equilibrium(function(injected), z0, options);
    output.states = output.equilibrium->values;
  }
  output.logits = head(output.states);
  return output;
}

StateFunction Mdeq::function(Value injected) const {
  return [this, injected](std::span<const Value> z) { return transformation(z, injected); };
}

Value Mdeq::head(const std::vector<Value>& states) const {
  return classification ? (*classification)(states) : (*segmentation)(states);
}

}  // namespace deq
