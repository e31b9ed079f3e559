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
  Linear(const ParamScope& scope, int in, int out, LinearOptions options = {})
      : weight(scope, "weight", {out, in}, init::fan_in(in)) {
    if (options.has_bias) bias = Parameter(scope, "bias", {out}, init::fan_in(in));
    label = scope.prefix();
  }

  Value operator()(Value x) const;

  Parameter weight, bias;
  std::string label;
};

}  // namespace deq::layers
