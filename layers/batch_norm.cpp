#include "layers/batch_norm.h"

#include <algorithm>

#include "core/error.h"

namespace deq::layers {
namespace {

bool is_assigned(const Graph& graph, Value target) {
  return std::ranges::any_of(graph.assignments(), [&](const Assignment& a) { return a.target == target.ref; });
}

}  // namespace

BatchNorm::BatchNorm(const ParamScope& scope, int channel_count, BatchNormOptions chosen)
    : channels(channel_count), options(chosen), label(scope.prefix()) {
  check(channels >= 1, "batch_norm", channels, " channels, expected at least 1 (layer '", label, "')");
  if (options.is_affine) {
    weight = Parameter(scope, "weight", {channels}, init::ones());
    bias = Parameter(scope, "bias", {channels}, init::zeros());
  }
  running_mean = Parameter(scope, "running_mean", {channels}, init::zeros(), /*is_trainable=*/false);
  running_var = Parameter(scope, "running_var", {channels}, init::ones(), /*is_trainable=*/false);
}

Value BatchNorm::operator()(Value x) const {
  const Scope named(x.owner("batch_norm", label), label);
  check(x.shape().rank() >= 2 && x.shape()[-1] == channels, "batch_norm", "input ", x.type(), " does not end in ",
        channels, " channels (layer '", label, "')");
  return x.graph->mode() == Mode::training ? with_batch(x) : with_running(x);
}

Value BatchNorm::with_batch(Value x) const {
  Graph& graph = *x.graph;
  const BatchNormValues batch = batch_norm(x, options.eps, weight(x), bias(x));
  const bool is_in_loop = graph.rate(batch.mean.ref) > Rate::batch;
  if (is_in_loop || is_assigned(graph, running_mean(x))) return batch.y;

  const double count = static_cast<double>(x.shape().elements()) / channels;
  const double unbiased = count / std::max(count - 1.0, 1.0);
  const double kept = 1.0 - options.momentum;
  graph.assign(running_mean(x), running_mean(x) * kept + batch.mean * options.momentum);
  graph.assign(running_var(x), running_var(x) * kept + batch.variance * (options.momentum * unbiased));
  return batch.y;
}

Value BatchNorm::with_running(Value x) const {
  Value scale = reciprocal(sqrt(running_var(x) + options.eps));
  if (!weight.is_absent()) scale = scale * weight(x);
  Value shift = -(running_mean(x) * scale);
  if (!bias.is_absent()) shift = shift + bias(x);
  return x * scale + shift;
}

}  // namespace deq::layers
