#pragma once

#include <cstdint>
#include <ostream>

#include "core/op/linear.h"

namespace deq {

/// One convolution with all its extents: x [batch,height,width,in_channels], weight
/// [out_channels,in_channels/groups,kernel_h,kernel_w].
struct ConvShape {
  std::int64_t batch = 1;
  std::int64_t height = 1;
  std::int64_t width = 1;
  std::int64_t in_channels = 1;
  std::int64_t out_channels = 1;
  std::int64_t kernel_h = 1;
  std::int64_t kernel_w = 1;
  Conv2d conv;

  [[nodiscard]] std::int64_t out_height() const { return (height + 2 * conv.pad - kernel_h) / conv.stride + 1; }
  [[nodiscard]] std::int64_t out_width() const { return (width + 2 * conv.pad - kernel_w) / conv.stride + 1; }
  [[nodiscard]] Shape image() const { return {batch, height, width, in_channels}; }
  [[nodiscard]] Shape weight() const { return {out_channels, in_channels / conv.groups, kernel_h, kernel_w}; }
  [[nodiscard]] Shape result() const { return {batch, out_height(), out_width(), out_channels}; }
  /// Of one pass, forward or either gradient.
  [[nodiscard]] std::int64_t multiply_adds() const {
    return result().elements() * in_channels / conv.groups * kernel_h * kernel_w;
  }
  bool operator==(const ConvShape&) const = default;
};

/// The convolution `conv` of `image` [B,H,W,Cin] by `weight` [Cout,Cin/groups,Kh,Kw].
inline ConvShape shape_of(const Conv2d& conv, const Shape& image, const Shape& weight) {
  return {.batch = image[0],
          .height = image[1],
          .width = image[2],
          .in_channels = image[3],
          .out_channels = weight[0],
          .kernel_h = weight[2],
          .kernel_w = weight[3],
          .conv = conv};
}

inline std::ostream& operator<<(std::ostream& out, const ConvShape& shape) {
  return out << shape.image() << " * " << shape.weight() << " stride " << shape.conv.stride << " pad "
             << shape.conv.pad;
}

}  // namespace deq
