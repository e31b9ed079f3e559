#include "layers/mdeq/mdeq.h"

#include "core/error.h"
#include "layers/trajectory.h"

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
  Graph& graph = image.owner("mdeq");
  const std::vector<Shape> shapes = config.state_shapes(image.shape());
  Output output;
  output.injected = stem(image);
  const StateFunction f = function(output.injected);
  if (forward.unrolled_steps > 0) {
    output.states = unrolled(f, starting_states(graph, shapes), forward.unrolled_steps);
    output.logits = head(output.states);
    return output;
  }
  std::vector<EquilibriumOptions> slices = forward.earlier;
  slices.push_back(forward.equilibrium);
  if (forward.outer_loss)
    for (EquilibriumOptions& slice : slices)
      slice.outer_loss = [&](std::span<const Value> z) { return forward.outer_loss(head({z.begin(), z.end()})); };
  const StartState start = graph.mode() == Mode::training ? forward.start : StartState{};
  const std::vector<EquilibriumTrace> traces = trace_trajectory(f, starting_states(graph, shapes, start), slices);
  output.equilibrium = traces.back();
  output.states = output.equilibrium->values;
  output.logits = head(output.states);  // before the others: batch norms keep the statistics of a first application
  for (std::size_t k = 0; k + 1 < traces.size(); ++k) output.earlier_logits.push_back(head(traces[k].values));
  return output;
}

StateFunction Mdeq::function(Value injected) const {
  return [this, injected](std::span<const Value> z) { return transformation(z, injected); };
}

Value Mdeq::head(const std::vector<Value>& states) const {
  check(static_cast<int>(states.size()) == config.branches(), "mdeq", states.size(), " states for ", config.branches(),
        " branches");
  return classification ? (*classification)(states) : (*segmentation)(states);
}

}  // namespace deq
