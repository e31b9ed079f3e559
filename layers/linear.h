#pragma once

#include <optional>

#include "core/builder.h"
#include "layers/spectral_norm.h"

namespace deq::layers {

struct LinearOptions {
  bool has_bias = true;
  std::optional<SpectralNormOptions> spectral_norm{};  ///< parameters weight_orig, weight_u instead of weight
};

/// y = x W^T + b over the last axis: [.., in] -> [.., out]. Parameters `weight` [out, in] (or those of its
/// spectral norm) and `bias` [out], both U(+-1/sqrt(in)) at the start.
struct Linear {
  /// Errors: `in` or `out` below 1.
  Linear(const ParamScope& scope, int in, int out, LinearOptions options = {});

  Value operator()(Value x) const;
  /// The weight that is multiplied by, after spectral normalisation.
  [[nodiscard]] Value effective_weight(Value like) const { return weight.is_absent() ? normed(like) : weight(like); }

  Parameter weight, bias;
  SpectralNorm normed;
  std::string label;
};

}  // namespace deq::layers
