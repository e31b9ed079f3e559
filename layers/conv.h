#pragma once

#include <optional>

#include "core/builder.h"
#include "layers/spectral_norm.h"
#include "layers/weight_norm.h"

namespace deq::layers {

struct ConvOptions {
  int stride = 1;
  int pad = 0;
  int groups = 1;
  bool has_bias = true;
  bool has_weight_norm = false;                        ///< parameters weight_g, weight_v instead of weight
  std::optional<SpectralNormOptions> spectral_norm{};  ///< parameters weight_orig, weight_u instead of weight
  std::optional<init::Initializer> start{};            ///< of weight and bias; unset: U(+-1/sqrt(fan-in))
};

/// 2-d convolution of images [B,H,W,in] -> [B,H',W',out] with a square kernel, H' = (H + 2 pad - kernel) / stride + 1.
/// Parameters `weight` [out, in/groups, kernel, kernel] (or those of its norm) and `bias` [out].
struct Conv2d {
  /// Errors: sizes below 1, channels that do not divide into the groups, both norms.
  Conv2d(const ParamScope& scope, int in, int out, int kernel, const ConvOptions& options = {});

  Value operator()(Value x) const;
  /// The weight that is convolved with, after its normalisation.
  [[nodiscard]] Value effective_weight(Value like) const;

  Parameter weight, bias;
  WeightNorm normed;
  SpectralNorm bounded;
  deq::Conv2d geometry;
  std::string label;
};

}  // namespace deq::layers
