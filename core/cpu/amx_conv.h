#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/cpu/amx_tiles.h"
#include "core/cpu/conv_shape.h"
#include "core/cpu/padded_image.h"

namespace deq::cpu {

/// A convolution on NHWC with operands rounded to bf16 and sums in f32, in the tile registers of AMX: forward, or of
/// stride 1 as the gradient in the input. An image is rounded into a padded copy; rows of a left tile are neighbouring
/// pixels of it as they lie, so nothing is gathered, and sums are stored where they belong. The result of a sample
/// depends neither on the other samples nor on the number of threads.
class AmxConv {
 public:
  /// True for one group of channels, with weights that stay in the second-level cache.
  [[nodiscard]] static bool fits(const ConvShape& shape, bool is_input_grad);
  /// `shape` is that of the forward convolution.
  AmxConv(const ConvShape& shape, bool is_input_grad);

  [[nodiscard]] std::int64_t samples() const { return shape_.batch; }
  [[nodiscard]] std::size_t packed_bytes() const;
  [[nodiscard]] std::size_t workspace_bytes() const;
  /// weight f32[Cout,Cin,Kh,Kw] -> packed [block of columns][step][depth / 2][column][2].
  void pack(const float* weight, void* packed) const;
  /// from: x f32[B,H,W,Cin] -> to: y f32[B,H',W',Cout]; as input gradient from: g, to: dx.
  void run(const float* from, const void* packed, float* to, void* workspace) const;
  /// One sample of it, `from` [H,W,Cin], on the calling thread.
  void run_sample(const float* from, const void* packed, float* to, void* scratch) const;
  [[nodiscard]] std::size_t sample_scratch_bytes() const;

  // What a run is made of, for kernels that hold the padded copy themselves.

  /// Rows of the result of one sample.
  struct Band {
    std::int64_t first, last;
  };
  /// Up to kTileBlocks blocks of neighbouring pixels of the result.
  struct PixelGroup {
    std::int64_t count = 0, pixels = 0;          ///< blocks, pixels of each
    std::array<std::int64_t, kTileBlocks> y, x;  ///< [count] their first pixels
  };
  [[nodiscard]] const PaddedImage& image() const { return image_; }
  /// Multiplies rows of the padded image with `packed`. `padded` begins with the first row that `band` reads. For each
  /// group and kTileColumns channels from `channel` on, sink.sums(group, channel) says where sums go, and
  /// sink.take(group, channel) hears that they are there. Sink::kHoldsWholeTiles: there is room for all kTileColumns of
  /// the last channels, which are zero beyond them.
  template <class Sink>
  void multiply(const Bfloat16* padded, const void* packed, Band band, Sink& sink) const {
    const std::int64_t width = shape_.out_width(), channels = shape_.out_channels;
    const std::int64_t pixels = width / kTileRows * kTileRows;
    const std::int64_t whole = Sink::kHoldsWholeTiles ? channels : channels / kTileColumns * kTileColumns;
    // Tiles of one size at a time: whole ones, then what is left.
    multiply(padded, packed, {band, 0, pixels, kTileRows, 0, whole, kTileColumns}, sink);
    multiply(padded, packed, {band, 0, pixels, kTileRows, whole, channels, channels - whole}, sink);
    multiply(padded, packed, {band, pixels, width, width - pixels, 0, whole, kTileColumns}, sink);
    multiply(padded, packed, {band, pixels, width, width - pixels, whole, channels, channels - whole}, sink);
  }
  /// The same, sums going to y f32[H',W',Cout].
  void multiply(const Bfloat16* padded, const void* packed, Band band, float* y) const;

 private:
  /// Pixels and channels of the result that tiles of one size cover.
  struct Part {
    Band band;
    std::int64_t first_pixel, last_pixel, pixels;        ///< of a row; of a tile
    std::int64_t first_channel, last_channel, channels;  ///< of a tile
  };
  [[nodiscard]] std::int64_t steps() const { return static_cast<std::int64_t>(offsets_.size()); }
  [[nodiscard]] std::int64_t bands() const { return (shape_.out_height() + band_rows_ - 1) / band_rows_; }
  [[nodiscard]] std::int64_t rows_read(std::int64_t rows) const {
    return (rows - 1) * shape_.conv.stride + shape_.kernel_h;
  }
  void run_band(const float* from, const void* packed, std::int64_t band, float* to, void* scratch) const;

  /// All channels of some pixels before the next: a line that is written at two times goes to the cache twice.
  template <class Sink>
  void multiply(const Bfloat16* padded, const void* packed, const Part& part, Sink& sink) const {
    if (part.first_pixel == part.last_pixel || part.first_channel == part.last_channel) return;
    const std::int64_t stride = shape_.conv.stride;
    const std::int64_t wide = (part.last_pixel - part.first_pixel) / part.pixels;
    const std::int64_t blocks = (part.band.last - part.band.first) * wide;
    AmxTiles tiles(part.pixels, part.channels);
    PixelGroup group{.pixels = part.pixels, .y = {}, .x = {}};
    std::array<const Bfloat16*, kTileBlocks> left{};
    for (std::int64_t block = 0; block < blocks; block += group.count) {
      group.count = std::min(kTileBlocks, blocks - block);
      for (std::int64_t i = 0; i < group.count; ++i) {
        const std::int64_t row = (block + i) / wide;
        group.y[i] = part.band.first + row;
        group.x[i] = part.first_pixel + (block + i) % wide * part.pixels;
        left[i] = padded + row * stride * image_.row_elements() + group.x[i] * stride * image_.pitch;
      }
      for (std::int64_t channel = part.first_channel; channel < part.last_channel; channel += kTileColumns) {
        const Bfloat16* right = static_cast<const Bfloat16*>(packed) + channel * steps() * kTileDepth;
        tiles.multiply(group.count, steps(), {left.data(), stride * image_.pitch, offsets_.data()}, right,
                       sink.sums(group, channel));
        sink.take(group, channel);
      }
    }
  }

  bool is_input_grad_;
  ConvShape shape_;  // of the convolution as it is computed
  PaddedImage image_;
  std::int64_t row_steps_;             // of kTileDepth, for a row of taps
  std::vector<std::int64_t> offsets_;  // [step] in the padded image
  std::int64_t threads_;
  std::int64_t band_rows_;  // rows of the result that are rounded and multiplied at a time
};

}  // namespace deq::cpu
