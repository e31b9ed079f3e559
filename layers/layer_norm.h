#pragma once

#include "layers/group_norm.h"

namespace deq::layers {

/// Normalises the last axis of [.., features] by itself: group normalisation with one group, every row a sample.
/// Parameters `weight` (ones) and `bias` (zeros), [features], when affine.
/// Source: Ba, Kiros, Hinton, Layer Normalization, 2016.
struct LayerNorm {
  LayerNorm(const ParamScope& scope, int feature_count, NormOptions options = {})
      : features(feature_count), norm(scope, feature_count, /*groups=*/1, options) {}

  Value operator()(Value x) const {
    const Shape shape = x.shape("layer_norm", norm.label);
    check(shape.rank() >= 1 && shape[-1] == features, "layer_norm", "input ", x.type(), " ends in another extent than ",
          features, " (layer '", norm.label, "')");
    if (shape.rank() == 2) return norm(x);
    return reshape(norm(reshape(x, {shape.elements() / features, features})), shape);
  }

  int features;
  GroupNorm norm;
};

}  // namespace deq::layers
