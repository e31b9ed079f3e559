#include "core/cpu/turned_conv.h"

#include <algorithm>

namespace deq::cpu {

bool can_turn(const ConvShape& shape) {
  return shape.conv.groups == 1 && shape.conv.stride == 1 && shape.kernel_h == shape.kernel_w &&
         shape.conv.pad < shape.kernel_h && shape.out_height() > 0 && shape.out_width() > 0;
}

ConvShape turned(const ConvShape& shape) {
  ConvShape out = shape;
  out.height = shape.out_height(), out.width = shape.out_width();
  out.in_channels = shape.out_channels, out.out_channels = shape.in_channels;
  out.conv.pad = static_cast<int>(shape.kernel_h) - 1 - shape.conv.pad;
  return out;
}

void turn_weights(const ConvShape& shape, const float* weight, float* to) {
  const std::int64_t taps = shape.kernel_h * shape.kernel_w;
  for (std::int64_t in = 0; in < shape.in_channels; ++in)
    for (std::int64_t out = 0; out < shape.out_channels; ++out, to += taps) {
      const float* from = weight + (out * shape.in_channels + in) * taps;
      std::reverse_copy(from, from + taps, to);
    }
}

}  // namespace deq::cpu
