#pragma once

#include <cstdint>
#include <span>

#include "core/elementwise.h"
#include "core/shape.h"

namespace deq {

/// How one image is moved: pixel (y, x) of the result is pixel (y + shift_y, x + shift_x) of the image, black outside,
/// after mirroring left to right. That is zero-padding, cropping to the same size, and flipping.
struct PixelMove {
  int shift_y = 0;
  int shift_x = 0;
  bool is_flipped = false;
};

/// Channels that normalised images may have: grey, or red, green and blue, or these with a fourth.
inline constexpr int kMostImageChannels = 4;

/// 8-bit images [batch, height, width, channels] that are still to be moved and normalised: (x / 255 - mean) / std.
struct PixelBatch {
  std::int64_t step = 0;  ///< tells one batch of a run from another
  Shape shape{};
  std::span<const std::uint8_t> pixels{};
  std::span<const PixelMove> moves{};  ///< [batch]
  std::span<const float> mean{};       ///< [channels], at most kMostImageChannels
  std::span<const float> std{};
};

/// Element i of the normalised images, for any i at any time: the loader on the host and kernels share it.
struct NormalisePixel {
  const std::uint8_t* pixels = nullptr;
  const PixelMove* moves = nullptr;
  float* out = nullptr;
  int height = 1, width = 1, channels = 1;
  float mean[kMostImageChannels] = {};
  float std[kMostImageChannels] = {};

  DEQ_HOST_DEVICE static float normalised(std::uint8_t value, float mean, float std) {
    return (static_cast<float>(value) / 255.0F - mean) / std;
  }
  DEQ_HOST_DEVICE void operator()(std::int32_t i) const {
    const std::int32_t c = i % channels, position = i / channels;
    const std::int32_t x = position % width, row = position / width;
    const std::int32_t y = row % height, image = row / height;
    const PixelMove move = moves[image];
    const std::int32_t from_y = y + move.shift_y;
    const std::int32_t from_x = (move.is_flipped ? width - 1 - x : x) + move.shift_x;
    const bool is_inside = 0 <= from_y && from_y < height && 0 <= from_x && from_x < width;
    const std::int32_t from = ((image * height + from_y) * width + from_x) * channels + c;
    out[i] = normalised(is_inside ? pixels[from] : std::uint8_t{0}, mean[c], std[c]);
  }
};

/// The way of 8-bit images to a device that normalises them itself: a quarter of the bytes, and beside what runs there.
class PixelFeed {
 public:
  virtual ~PixelFeed() = default;
  /// Starts to bring the pixels of `batch` over; they may be reused on return. One batch is under way at a time.
  virtual void stage(const PixelBatch& batch) = 0;
  /// Leaves the normalised images, f32, at `to` for the kernels that come after. Takes what was staged if that is the
  /// same step, else brings the pixels over first.
  virtual void deliver(const PixelBatch& batch, void* to) = 0;
};

/// `batch` as arguments of its kernel. Errors: more channels than kMostImageChannels, sizes that do not fit.
NormalisePixel normalise_pixel(const PixelBatch& batch, const std::uint8_t* pixels, const PixelMove* moves, float* out);

}  // namespace deq
