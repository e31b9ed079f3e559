#pragma once

#include "core/cuda/channel_quad.h"
#include "core/cuda/lowering.h"
#include "core/rounded_product.h"

namespace deq::cuda {

/// What is normalised: relu(x * scale + addend), each part if asked for. `scale` has `channels` elements for each of
/// `sample` of x.
struct NormInput {
  const float *x, *scale, *addend;
  bool pre_relu;
  Index sample, channels;

  DEQ_HOST_DEVICE float operator()(Index i) const {
    float value = x[i];
    if (scale != nullptr) value = rounded_product(value, scale[i / sample * channels + i % channels]);
    if (addend != nullptr) value += addend[i];
    return pre_relu && value < 0.0F ? 0.0F : value;
  }
  /// Scale of four channels from `channel` on.
  [[nodiscard]] DEQ_HOST_DEVICE ChannelQuad scale_quad(Index of_sample, Index channel) const {
    if (scale == nullptr) return {{1, 1, 1, 1}};
    return reinterpret_cast<const ChannelQuad*>(scale)[(of_sample * channels + channel) / 4];
  }
  /// Elements 4 i to 4 i + 3, whose scale is `factors`.
  [[nodiscard]] DEQ_HOST_DEVICE ChannelQuad quad(Index i, const ChannelQuad& factors) const {
    ChannelQuad value = reinterpret_cast<const ChannelQuad*>(x)[i], more;
    if (addend != nullptr) more = reinterpret_cast<const ChannelQuad*>(addend)[i];
    for (int k = 0; k < 4; ++k) {
      value.at[k] = rounded_product(value.at[k], factors.at[k]) + more.at[k];
      if (pre_relu && value.at[k] < 0.0F) value.at[k] = 0.0F;
    }
    return value;
  }
};

}  // namespace deq::cuda
