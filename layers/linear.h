#pragma once

#include "core/builder.h"
#include "layers/parameter.h"

namespace deq::layers {

struct LinearOptions {
  bool has_bias = true;
};

/// y = x W^T + b over the last axis: [.., in] -> [.., out]. Parameters `weight` [out, in] and `bias` [out], both
/// U(+-1/sqrt(in)) at the start.
struct Linear {
  /// Errors: `in` or `out` below 1.
  Linear(const ParamScope& scope, int in, int out, LinearOptions options = {});

  Value operator()(Value x) const;

  Parameter weight, bias;
  std::string label;
};

}  // namespace deq::layers
