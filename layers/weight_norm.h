#pragma once

#include "core/builder.h"
#include "layers/parameter.h"

namespace deq::layers {

/// w = v * g / |v|, the norm over all axes but the first; v [O, ..], g [O, 1, ..]. No epsilon.
/// Source: Salimans, Kingma, Weight Normalization, NeurIPS 2016, equation 2.
Value weight_norm(Value v, Value g);

/// A weight kept as direction and length: parameters `weight_v` (drawn) and `weight_g` (starts as |weight_v|, so the
/// weight starts as drawn). It depends on parameters only and therefore leaves every solver loop by its rate.
struct WeightNorm {
  WeightNorm() = default;
  WeightNorm(const ParamScope& scope, Shape shape, const init::Initializer& start);

  [[nodiscard]] Value operator()(Value like) const { return weight_norm(v(like), g(like)); }

  Parameter v, g;
};

}  // namespace deq::layers
