#pragma once

#include <cstddef>
#include <cstdint>

#include "core/cpu/block_product.h"
#include "core/cpu/conv_shape.h"

namespace deq::cpu {

/// A convolution on NHWC with few weights, forward or (1x1 of stride 1) as the gradient in the input: patches of some
/// pixels are gathered (none for 1x1), then multiplied with packed weights. As fast as oneDNN for the small
/// convolutions of a loop, and able to take one sample at a time while it is in cache. Sums run as in oneDNN: the same
/// bits.
class PanelConv {
 public:
  /// True for one group of channels and weights that stay in the second-level cache.
  [[nodiscard]] static bool fits(const ConvShape& shape, bool is_input_grad);
  /// `shape` is that of the forward convolution.
  PanelConv(const ConvShape& shape, bool is_input_grad);

  [[nodiscard]] std::int64_t samples() const { return shape_.batch; }
  [[nodiscard]] std::size_t packed_bytes() const;
  [[nodiscard]] std::size_t workspace_bytes() const;
  /// weight [Cout,Cin,Kh,Kw] -> packed [block of columns][Kh Kw depth][columns].
  void pack(const float* weight, float* packed) const;
  /// from: x [B,H,W,Cin] -> to: y [B,H',W',Cout]; as input gradient from: g, to: dx.
  void run(const float* from, const float* packed, float* to, void* workspace) const;
  /// One sample of it, `from` [H,W,Cin], on the calling thread.
  void run_sample(const float* from, const float* packed, float* to, void* scratch) const;
  [[nodiscard]] std::size_t sample_scratch_bytes() const;

 private:
  [[nodiscard]] std::int64_t pixels() const { return shape_.out_height() * shape_.out_width(); }
  /// Blocks of pixels of one sample.
  [[nodiscard]] std::int64_t pixel_blocks() const;
  void gather(const float* image, std::int64_t pixel, std::int64_t count, float* patches) const;
  void multiply(const float* patches, std::int64_t count, const float* packed, float* to, float* scratch) const;
  void run_block(const float* from, const float* packed, float* to, std::int64_t block, float* scratch) const;

  bool is_input_grad_;
  ConvShape shape_;       // of the convolution as it is computed: a gradient reads the forward's output channels
  std::int64_t depth_;    // of a patch
  ColumnBlocks columns_;  // of output channels
  std::int64_t threads_;
  bool is_pointwise_;  // patches are the pixels as they lie
};

}  // namespace deq::cpu
