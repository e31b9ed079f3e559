#pragma once

#include <cstdint>
#include <vector>

#include "core/shape.h"

namespace deq {

enum class MdeqTask : std::uint8_t { classification, segmentation };

/// Shape of a multiscale deep equilibrium network: everything that decides which parameters there are. Branch 0 has the
/// highest resolution; branch i has half the height and width of branch i-1 (rounded up).
/// Source: Bai, Koltun, Kolter, Multiscale Deep Equilibrium Models, NeurIPS 2020.
struct MdeqConfig {
  MdeqTask task = MdeqTask::classification;
  int image_channels = 3;
  int classes = 10;
  std::vector<int> channels{24, 24};      ///< per branch
  std::vector<int> blocks{};              ///< residual blocks per branch; empty: one each
  std::vector<int> big_kernels{};         ///< 5x5 instead of 3x3 in the first n convolutions of a block; empty: none
  std::vector<int> head_channels{8, 16};  ///< per branch, classification only
  int final_channels = 200;               ///< width before the classifier, classification only
  int final_kernel = 1;                   ///< kernel of the last convolution, segmentation only
  int expansion = 5;                      ///< inner width of a block over its channels
  int downsample_times = 0;               ///< halvings in the stem
  int groups = 8;                         ///< of every group norm but the post-fusion one, which has half as many
  bool block_norm_affine = true;
  bool fuse_norm_affine = true;
  bool post_norm_affine = true;
  bool weight_norm = true;      ///< of block and post-fusion convolutions
  double dropout = 0.0;         ///< whole channels, one mask a block and batch
  double batch_momentum = 0.1;  ///< weight of a batch in the running statistics of batch norm

  [[nodiscard]] int branches() const { return static_cast<int>(channels.size()); }
  [[nodiscard]] int blocks_of(int branch) const;
  [[nodiscard]] int big_kernels_of(int branch) const;
  /// The published models leave it out when there is nothing to align.
  [[nodiscard]] bool has_stage0() const { return downsample_times > 0 || branches() > 2; }
  /// Errors (RequestError): lists of unequal length, counts below 1, channels that the groups do not divide.
  void validate() const;
  /// States [B,h,w,c] for images [B,H,W,C].
  [[nodiscard]] std::vector<Shape> state_shapes(const Shape& image) const;
  /// Elements of the state of one image.
  [[nodiscard]] std::int64_t state_elements(std::int64_t height, std::int64_t width) const;

  // The published configurations (github.com/locuslab/deq, MDEQ-Vision/experiments).
  static MdeqConfig cifar10_tiny();
  static MdeqConfig cifar10_large();
  static MdeqConfig cifar10_large_reg();
  static MdeqConfig imagenet_small();
  static MdeqConfig imagenet_small_reg();
  static MdeqConfig imagenet_large();
  static MdeqConfig imagenet_large_reg();
  static MdeqConfig imagenet_xl();
  static MdeqConfig cityscapes_small();
  static MdeqConfig cityscapes_large();
  static MdeqConfig cityscapes_xl();

  bool operator==(const MdeqConfig&) const = default;
};

}  // namespace deq
