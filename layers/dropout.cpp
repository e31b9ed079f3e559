#include "layers/dropout.h"

#include "core/error.h"

namespace deq::layers {
namespace {

Value masked(const Dropout& layer, Value x, Shape mask) {
  Graph& graph = x.owner("dropout", layer.label);
  if (layer.p == 0.0 || graph.mode() == Mode::inference) return x;
  const Scope named(graph, layer.label);
  if (layer.fixed_mask) return x * graph.parameter(concat(layer.label, ".fixed_mask"), layer.fixed_mask);
  const Random draw{.distribution = Distribution::bernoulli, .p = layer.p, .site = layer.site, .shape = mask};
  return x * graph.add_one(draw, {graph.rng_seed()});
}

}  // namespace

Dropout::Dropout(const ParamScope& scope, double drop_probability)
    : p(drop_probability), site(scope.random_site()), label(scope.prefix()) {
  check(p >= 0.0 && p < 1.0, "dropout", "drop probability ", p, " is outside [0, 1) (layer '", label, "')");
}

Value Dropout::operator()(Value x) const { return masked(*this, x, x.shape("dropout", label)); }

Value VariationalDropout::operator()(Value x) const {
  Shape mask = x.shape("dropout", element.label);
  for (int axis = 1; axis + 1 < mask.rank(); ++axis) mask = mask.with(axis, 1);
  return masked(element, x, mask);
}

}  // namespace deq::layers
