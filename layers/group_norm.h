#pragma once

#include "core/builder.h"
#include "layers/parameter.h"

namespace deq::layers {

struct NormOptions {
  double eps = 1e-5;
  bool is_affine = true;
};

/// Group normalisation of [B,..,channels]; parameters `weight` (ones) and `bias` (zeros), [channels], when affine.
/// Source: Wu, He, Group Normalization, ECCV 2018.
struct GroupNorm {
  /// Errors: `channels` does not divide into `groups`.
  GroupNorm(const ParamScope& scope, int channels, int groups, NormOptions options = {});

  Value operator()(Value x) const;

  int groups;
  double eps;
  Parameter weight, bias;
  std::string label;
};

}  // namespace deq::layers
