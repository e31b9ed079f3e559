#pragma once

#include <vector>

#include "layers/batch_norm.h"
#include "layers/conv.h"
#include "layers/mdeq/config.h"

namespace deq::mdeq {

/// Start of every convolution that is not weight-normed: N(0, 0.01^2), as the published models.
inline constexpr init::Initializer kConvStart = init::normal(0.01);

/// Convolution without bias, batch norm, relu.
struct ConvNorm {
  /// The convolution is `scope / index`, its norm `scope / (index + 1)`: places in the published models' lists.
  ConvNorm(const ParamScope& scope, int index, int in, int out, int kernel, int stride, double momentum);

  Value operator()(Value x) const { return relu(norm(conv(x))); }

  layers::Conv2d conv;
  layers::BatchNorm norm;
};

/// Image to injection: images [B,H,W,C] -> [B,h,w,channels of branch 0]. Two 3x3 convolutions, one more for every
/// halving after the second, then a 1x1 one (`stage0`) unless the model is small and nothing was halved.
struct Stem {
  Stem(const ParamScope& scope, const MdeqConfig& config);

  Value operator()(Value image) const;

  std::vector<ConvNorm> stages;
};

}  // namespace deq::mdeq
