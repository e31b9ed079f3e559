#pragma once

#include <cstddef>
#include <cstdint>

#include "core/cpu/block_product.h"
#include "core/cpu/conv_shape.h"

namespace deq::cpu {

/// A 3x3 convolution of stride 1 on NHWC by Winograd's F(4x4,3x3), forward or as the gradient in the input (which is
/// the convolution of the result's gradient with turned weights). Weights are transformed once, by `pack`.
///
/// Tiles of all samples are numbered in one row and taken in blocks whose transformed input, products and slice of the
/// weights stay in the second-level cache; threads take blocks, without a barrier. Where the weights are larger than
/// that (few pixels, many channels), all tiles are one block and threads share the output channels instead, so that
/// weights are read once.
///
/// The result of a sample depends neither on the other samples nor on the number of threads. Relative error of a
/// convolution about 1e-6 (direct: 2e-7).
class WinogradConv {
 public:
  /// True when `shape` is a convolution that this class computes.
  [[nodiscard]] static bool fits(const ConvShape& shape);
  /// `shape` is that of the forward convolution.
  WinogradConv(const ConvShape& shape, bool is_input_grad);

  /// Samples that run_sample takes one by one; 0 where threads share the channels.
  [[nodiscard]] std::int64_t samples() const { return shares_columns_ ? 0 : batch_; }
  [[nodiscard]] std::size_t packed_bytes() const;
  [[nodiscard]] std::size_t workspace_bytes() const;
  /// weight [Cout,Cin,3,3] -> packed [block of columns][36][depth][columns].
  void pack(const float* weight, float* packed) const;
  /// from: x [B,H,W,Cin] -> to: y [B,H',W',Cout]; as input gradient from: g, to: dx.
  void run(const float* from, const float* packed, float* to, void* workspace) const;
  /// One sample of it, `from` [H,W,Cin], on the calling thread; the same bits. Not where threads share the channels.
  void run_sample(const float* from, const float* packed, float* to, void* scratch) const;
  [[nodiscard]] std::size_t sample_scratch_bytes() const;

 private:
  /// Numbers [first, last).
  struct Span {
    std::int64_t first, last;
  };
  struct Patch;
  [[nodiscard]] Patch patch_of(const float* from, const float* zeros, std::int64_t tile) const;
  void transform_inputs(const float* from, const float* zeros, Span tiles, float* image) const;
  void multiply(const float* image, std::int64_t tiles, const float* packed, std::int64_t block, float* products) const;
  void transform_outputs(const float* products, Span tiles, std::int64_t block, float* to) const;
  void run_tiles(const float* from, const float* packed, float* to, Span tiles, float* scratch) const;
  void run_columns(const float* from, const float* packed, float* to, float* scratch) const;

  [[nodiscard]] std::int64_t image_stride() const;    ///< floats from one point to the next in a block's inputs
  [[nodiscard]] std::int64_t product_stride() const;  ///< the same in its products
  [[nodiscard]] std::int64_t scratch_floats() const;  ///< of one thread

  bool is_input_grad_;
  std::int64_t batch_, height_, width_, channels_;      // of what is read
  std::int64_t out_height_, out_width_, out_channels_;  // of what is written
  std::int64_t pad_;
  std::int64_t tiles_high_, tiles_wide_, tiles_;
  std::int64_t depth_;    // channels read, rounded up to a vector
  ColumnBlocks columns_;  // of output channels
  std::int64_t block_;    // tiles of a block
  std::int64_t threads_;
  bool shares_columns_;  // threads share output channels, not tiles
};

}  // namespace deq::cpu
