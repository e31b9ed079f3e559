#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/cpu/amx_tiles.h"
#include "core/cpu/conv_shape.h"

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

 private:
  /// Rows of the result of one sample.
  struct Band {
    std::int64_t first, last;
  };
  /// Columns of pixels and of channels of the result, from first on.
  struct Part {
    std::int64_t first_pixel, pixels, first_channel, channels;
  };
  [[nodiscard]] std::int64_t row_elements() const { return (shape_.width + 2 * shape_.conv.pad) * pitch_; }
  [[nodiscard]] std::int64_t bands() const { return (shape_.out_height() + band_rows_ - 1) / band_rows_; }
  [[nodiscard]] std::int64_t padded_rows(std::int64_t rows) const {
    return (rows - 1) * shape_.conv.stride + shape_.kernel_h;
  }
  void pad_rows(const float* image, Band band, Bfloat16* padded) const;
  void multiply(const Bfloat16* padded, const Bfloat16* packed, Band band, const Part& part, float* to) const;
  void run_band(const float* from, const void* packed, std::int64_t band, float* to, void* scratch) const;

  bool is_input_grad_;
  ConvShape shape_;                    // of the convolution as it is computed
  std::int64_t pitch_;                 // elements from one pixel of the padded image to the next
  std::int64_t row_steps_;             // of kTileDepth, for a row of taps
  std::vector<std::int64_t> offsets_;  // [step] in the padded image
  std::int64_t threads_;
  std::int64_t band_rows_;  // rows of the result that are padded and multiplied at a time
};

}  // namespace deq::cpu
