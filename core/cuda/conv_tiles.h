#pragma once

#include <algorithm>
#include <bit>
#include <optional>

#include "core/cpu/conv_shape.h"
#include "core/cuda/lowering.h"
#include "core/cuda/tile_format.h"

namespace deq::cuda {

/// How a convolution of our own, in TF32 or bf16, is cut into blocks. A block has the results of a patch of kPixels
/// pixels (of one image, or of several small ones) for 8 `tiles` channels. It goes through the channels in stages of
/// `chunk`: what its results read of them, and their weights, lie in shared memory, as do those of the next stages
/// while they come in. The gradient by the input is the convolution of g with flipped kernels, so extents are those of
/// the convolution as run.
struct ConvTiles {
  static constexpr Index kPixels = 128;  ///< results of a block; a warp has 32 of them
  static constexpr int kThreads = 128;

  Index batch = 1, height = 1, width = 1, in = 1;  ///< of what is read
  Index out_h = 1, out_w = 1, out = 1;             ///< of results
  Index kernel_h = 1, kernel_w = 1, stride = 1, pad_h = 0, pad_w = 0;
  Index log_w = 0, log_h = 0;                        ///< log2 of a patch's width and height in results
  Index patch_w = 1, patch_h = 1, patch_images = 1;  ///< what a patch reads
  Index chunk = 8;                                   ///< channels of a stage, a multiple of 8
  Index stages = 2;                                  ///< stages in shared memory
  Index depth = 1;                                   ///< groups of 8 channels that are read, the last filled with zeros
  Index tiles = 1, columns = 1;                      ///< groups of 8 results of a block; blocks over them
  Index across = 1, down = 1, along = 1;             ///< patches by width, height and images
  bool is_flipped = false;                           ///< a gradient by the input
  CudaPrecision precision = CudaPrecision::tf32;     ///< or bf16

  /// The cut for `shape` (of the Conv2d also where `pass` is input_grad). None where the library is as good: grouped
  /// convolutions, gradients of strided ones, long sums that fill few blocks.
  static std::optional<ConvTiles> of(const ConvShape& shape, ConvPass pass, CudaPrecision precision);

  /// True where few products make a result, so that fetching and storing are most of the work.
  [[nodiscard]] bool is_short() const {
    constexpr Index kShort = 64;
    return taps() * depth <= kShort;
  }
  [[nodiscard]] std::int64_t blocks() const { return std::int64_t{across} * down * along * columns; }
  /// 4-byte words of packed weights, and of one tile of them.
  [[nodiscard]] std::int64_t packed_words() const { return std::int64_t{taps()} * depth * tiles * columns * words(); }
  [[nodiscard]] DEQ_HOST_DEVICE Index words() const { return tile_words(precision); }
  /// True when packed weights of one are those of the other.
  [[nodiscard]] bool packs_like(const ConvTiles& other) const {
    return is_flipped == other.is_flipped && precision == other.precision && chunk == other.chunk &&
           tiles * columns == other.tiles * other.columns;
  }
  [[nodiscard]] DEQ_HOST_DEVICE Index patch_pixels() const { return patch_w * patch_h * patch_images; }
  /// Distance of two pixels in shared memory. An odd multiple of 4, so that rows of a tile lie in different banks.
  [[nodiscard]] DEQ_HOST_DEVICE Index pitch() const { return chunk + 4; }
  [[nodiscard]] DEQ_HOST_DEVICE Index taps() const { return kernel_h * kernel_w; }
  [[nodiscard]] DEQ_HOST_DEVICE Index patch_elements() const { return patch_pixels() * pitch(); }
  /// Of a stage in shared memory, whose weights of 8 channels and a tap have `own_words` words: the patch and then
  /// these.
  [[nodiscard]] DEQ_HOST_DEVICE Index stage_elements(Index own_words) const {
    return patch_elements() + taps() * (chunk / 8) * own_words;
  }
  /// Stages of `own_tiles` tiles and, behind them, where each pixel of the patch is read.
  [[nodiscard]] Index shared_elements(Index own_tiles, Index own_stages) const {
    return own_stages * stage_elements(own_tiles * words()) + patch_pixels();
  }
};

/// Kernels whose taps are known to the compiler, which then loads for one product while it waits for another.
enum class Taps : std::uint8_t { one, three_by_three, any };

inline Taps taps_of(const ConvTiles& cut) {
  if (cut.taps() == 1) return Taps::one;
  return cut.kernel_h == 3 && cut.kernel_w == 3 ? Taps::three_by_three : Taps::any;
}

/// Where the results of a block of `tiles` tiles begin.
struct TileCorner {
  Index image, row, column, tile;
  DEQ_HOST_DEVICE TileCorner(const ConvTiles& cut, Index tiles, Index block) {
    const Index patch = block / cut.columns, line = patch / cut.across, images = line / cut.down;
    tile = (block - patch * cut.columns) * tiles;
    column = (patch - line * cut.across) << cut.log_w;
    row = (line - images * cut.down) << cut.log_h;
    image = images * cut.patch_images;
  }
};

namespace conv_cut {

/// Elements of shared memory that a block may have, and those it takes where two stages need no more, so that three
/// blocks fit on a large GPU.
inline constexpr Index kMostShared = kMostSharedBytes / 4, kUsualShared = 64 * 1024 / 4;
/// Tiles of 8 channels a block may have: what tile_conv.cu makes kernels for.
inline constexpr Index kTileChoices[] = {2, 3, 4, 5, 8, 10, 15, 16};
/// Blocks that run side by side: about the multiprocessors of a large GPU. The cut must not depend on the device, for
/// the order of sums would.
inline constexpr Index kSideBySide = 132;

inline Index pieces(Index n, Index of) { return (n + of - 1) / of; }
inline Index log_of(Index n, Index most) {
  return static_cast<Index>(
      std::countr_zero(std::min(std::bit_ceil(static_cast<std::uint32_t>(n)), static_cast<std::uint32_t>(most))));
}

/// Cycles of all blocks for 8 values of k, in tenths: shared memory hands out a row of 32 numbers a cycle, tensor cores
/// of 4 warps need 1.6 cycles a product of TF32 (half of it for bf16), and a patch comes in at 50 bytes a cycle, once
/// for all taps.
inline Index cost(const ConvTiles& cut, Index tiles, Index channel_tiles, Index patches) {
  const Index waves = pieces(patches * pieces(channel_tiles, tiles), kSideBySide);
  const Index rows = cut.words() / 32;  // of a tile of B in shared memory
  const Index multiply = std::max(40 * (8 + rows * tiles), 64 * rows * tiles);
  return waves * (multiply + cut.patch_pixels() * 64 / (10 * cut.kernel_h * cut.kernel_w));
}

inline void cut_pixels(ConvTiles& cut) {
  cut.log_w = log_of(cut.out_w, 16);
  cut.log_h = log_of(cut.out_h, ConvTiles::kPixels >> cut.log_w);
  cut.patch_images = ConvTiles::kPixels >> (cut.log_w + cut.log_h);
  cut.patch_w = ((Index{1} << cut.log_w) - 1) * cut.stride + cut.kernel_w;
  cut.patch_h = ((Index{1} << cut.log_h) - 1) * cut.stride + cut.kernel_h;
  cut.across = pieces(cut.out_w, Index{1} << cut.log_w);
  cut.down = pieces(cut.out_h, Index{1} << cut.log_h);
  cut.along = pieces(cut.batch, cut.patch_images);
}

/// A stage of a kernel of one tap has up to 32 channels, one of several taps 8, so that it is some work.
inline void cut_depth(ConvTiles& cut) {
  constexpr Index kMostGroups = 4;
  cut.depth = pieces(cut.in, 8);
  cut.chunk = cut.taps() > 1 ? 8 : 8 * pieces(cut.depth, pieces(cut.depth, kMostGroups));
}

/// False where two stages have no room.
inline bool cut_channels(ConvTiles& cut) {
  const Index channel_tiles = pieces(cut.out, 8), patches = cut.across * cut.down * cut.along;
  Index best = 0;
  for (const Index tiles : kTileChoices) {
    const Index found = cost(cut, tiles, channel_tiles, patches);
    if ((best != 0 && found >= best) || cut.shared_elements(tiles, 2) > kMostShared) continue;
    best = found;
    cut.tiles = tiles;
  }
  if (best == 0) return false;
  constexpr Index kMostStages = 4;
  while (cut.stages < kMostStages && cut.shared_elements(cut.tiles, cut.stages + 1) <= kUsualShared) ++cut.stages;
  cut.columns = pieces(channel_tiles, cut.tiles);
  return true;
}

}  // namespace conv_cut

inline std::optional<ConvTiles> ConvTiles::of(const ConvShape& shape, ConvPass pass, CudaPrecision precision) {
  if (precision == CudaPrecision::f32) return std::nullopt;
  for (const Shape& operand : {shape.image(), shape.result(), shape.weight()})
    if (operand.elements() > kMostElements) return std::nullopt;
  ConvTiles cut;
  cut.precision = precision;
  cut.is_flipped = pass == ConvPass::input_grad;
  cut.batch = narrow(shape.batch), cut.stride = shape.conv.stride;
  cut.kernel_h = narrow(shape.kernel_h), cut.kernel_w = narrow(shape.kernel_w);
  cut.height = narrow(shape.height), cut.width = narrow(shape.width), cut.in = narrow(shape.in_channels);
  cut.out_h = narrow(shape.out_height()), cut.out_w = narrow(shape.out_width()), cut.out = narrow(shape.out_channels);
  cut.pad_h = cut.pad_w = shape.conv.pad;
  if (cut.is_flipped) {
    std::swap(cut.height, cut.out_h), std::swap(cut.width, cut.out_w), std::swap(cut.in, cut.out);
    cut.pad_h = cut.kernel_h - 1 - cut.pad_h, cut.pad_w = cut.kernel_w - 1 - cut.pad_w;
    if (cut.stride != 1 || cut.pad_h < 0 || cut.pad_w < 0) return std::nullopt;
  }
  constexpr Index kLongestKernel = 7, kFewBlocks = 100, kLongSum = 400;
  if (shape.conv.groups != 1 || cut.stride > 2 || std::max(cut.kernel_h, cut.kernel_w) > kLongestKernel)
    return std::nullopt;
  if (std::min({cut.batch, cut.in, cut.out, cut.out_h, cut.out_w}) < 1) return std::nullopt;
  conv_cut::cut_pixels(cut);
  conv_cut::cut_depth(cut);
  if (!conv_cut::cut_channels(cut)) return std::nullopt;
  if (cut.blocks() < kFewBlocks && cut.taps() * cut.depth > kLongSum) return std::nullopt;
  return cut;
}

}  // namespace deq::cuda
