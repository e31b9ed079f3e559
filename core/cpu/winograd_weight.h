#pragma once

#include <cstddef>
#include <cstdint>

#include "core/cpu/block_product.h"
#include "core/cpu/conv_shape.h"

namespace deq::cpu {

/// The gradient in the weights of a 3x3 convolution of stride 1 on NHWC, by the transpose of Winograd's F(4x4,3x3) in
/// the weights: 36 products of transformed inputs and transformed result gradients, summed over all tiles.
///
/// With few weights each thread adds up the products of its own blocks of tiles; with many, all tiles are transformed
/// first and threads share the output channels. Sums depend on the number of threads in the last bits, as oneDNN's do.
class WinogradWeightGrad {
 public:
  explicit WinogradWeightGrad(const ConvShape& shape);

  [[nodiscard]] std::size_t workspace_bytes() const;
  /// x [B,H,W,Cin], g [B,H',W',Cout] -> dw [Cout,Cin,3,3].
  void run(const float* x, const float* g, float* dw, void* workspace) const;

 private:
  /// Numbers [first, last).
  struct Span {
    std::int64_t first, last;
  };
  /// Where a tile begins in the result.
  struct Corner {
    std::int64_t sample, y, x;
  };
  [[nodiscard]] Corner corner_of(std::int64_t tile) const;
  /// Products of kPanelRows input channels from `channel` on with a block of output channels, at one point, over tiles.
  struct Panel {
    std::int64_t point, channel, block, tiles;
  };
  void transform_inputs(const float* x, const float* zeros, Span tiles, std::int64_t place, float* to) const;
  void transform_gradients(const float* g, const float* zeros, Span tiles, std::int64_t place, float* to) const;
  void multiply(const float* inputs, const float* gradients, const Panel& of, float* to, std::int64_t to_stride,
                bool adds) const;
  void add_products(const float* inputs, const float* gradients, std::int64_t tiles, bool is_first, float* sums) const;
  void write_weights(const float* sums, std::int64_t sums_stride, std::int64_t channel, std::int64_t block,
                     float* dw) const;
  void run_channels(const float* inputs, const float* gradients, Span channels, std::int64_t block, float* sums,
                    float* dw) const;
  void run_tiles(const float* x, const float* g, float* dw, float* scratch) const;
  void run_columns(const float* x, const float* g, float* dw, float* scratch) const;

  /// Parts of `channels_` input channels.
  [[nodiscard]] std::int64_t parts() const { return (depth_ + channels_ - 1) / channels_; }
  [[nodiscard]] std::int64_t input_stride() const;     ///< floats from one point to the next
  [[nodiscard]] std::int64_t gradient_stride() const;  ///< the same in gradients
  [[nodiscard]] std::int64_t input_floats() const;
  [[nodiscard]] std::int64_t gradient_floats() const;
  [[nodiscard]] std::int64_t zero_floats() const;
  [[nodiscard]] std::int64_t thread_floats() const;

  ConvShape shape_;
  std::int64_t tiles_high_, tiles_wide_, tiles_;
  std::int64_t depth_;    // input channels, rounded up to a vector
  ColumnBlocks columns_;  // of output channels
  std::int64_t width_;    // of all blocks
  std::int64_t threads_;
  bool shares_columns_;    // threads share output channels, not tiles
  std::int64_t channels_;  // input channels that lie side by side, of which a thread sums at once
  std::int64_t block_;     // tiles of a block
};

}  // namespace deq::cpu
