#pragma once

#include <optional>

#include "core/builder.h"
#include "layers/weight_norm.h"

namespace deq::layers {

struct ConvOptions {
  int stride = 1;
  int pad = 0;
  int groups = 1;
  bool has_bias = true;
  bool has_weight_norm = false;              ///< parameters weight_g, weight_v instead of weight
  std::optional<init::Initializer> start{};  ///< of weight and bias; unset: U(+-1/sqrt(fan-in))
};

/// 2-d convolution of images [B,H,W,in] -> [B,H',W',out] with a square kernel, H' = (H + 2 pad - kernel) / stride + 1.
/// Parameters `weight` [out, in/groups, kernel, kernel] (or its weight-norm pair) and `bias` [out].
struct Conv2d {
  Conv2d(const ParamScope& scope, int in, int out, int kernel, const ConvOptions& options = {});

  Value operator()(Value x) const;
  /// The weight that is convolved with, after weight normalisation.
  [[nodiscard]] Value effective_weight(Value like) const { return weight.is_absent() ? normed(like) : weight(like); }

  Parameter weight, bias;
  WeightNorm normed;
  deq::Conv2d geometry;
  std::string label;
};

}  // namespace deq::layers
