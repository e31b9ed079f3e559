#pragma once

#include "core/cuda/async_copy.h"
#include "core/cuda/conv_tiles.h"
#include "core/cuda/divider.h"
#include "core/cuda/tensor_core.h"

namespace deq::cuda {

/// A convolution in TF32: one patch and kTiles tiles of channels (core/cuda/conv_tiles.h). A block program whose
/// threads keep their sums from phase to phase. Weights are those of pack_tiles.h.
template <int kTiles>
struct TileConv {
  ConvTiles cut;
  Divider quads, patch_h;  ///< by chunk / 4 and the rows of a patch
  const float *x, *w;
  float* y;

  TileConv(const ConvTiles& of, const float* image, const float* packed, float* result)
      : cut(of), quads(of.chunk / 4), patch_h(of.patch_h), x(image), w(packed), y(result) {}

  /// Values of k, by 8, whose weights are a stage.
  static constexpr int kStageSteps = kTiles > 8 ? 2 : 4;
  /// Stages of weights in shared memory: one is multiplied with while the others are under way. All blocks ask for the
  /// same weights at the same time, so that they take long to come.
  static constexpr int kStages = kTiles * kStageSteps > 20 ? 4 : 6;
  static constexpr Index kStageElements = kStageSteps * kTiles * kTileElements;

  /// The patch and the stages of weights behind it.
  [[nodiscard]] static std::size_t shared_bytes(const ConvTiles& cut) {
    return cut.patch_bytes() + kStages * static_cast<std::size_t>(kStageElements) * sizeof(float);
  }

  template <class Block>
  DEQ_HOST_DEVICE void operator()(const Block& block) const {
    const Corner corner(cut, block.index());
    float* const patch = block.template shared<float>();
    typename Block::template Kept<WarpSums<kTiles>> sums(block);
    typename Block::template Kept<Walk> walks(block);
    for (Index first = 0; first < cut.in; first += cut.chunk) {
      const Chunk chunk(*this, corner, first);
      block.each_thread([&](int thread) {
        for (Index stage = 0; stage + 1 < kStages; ++stage) fetch(chunk, stage, thread, patch);
        if (cut.in % 4 == 0)
          load<4>(corner, first, thread, patch);
        else
          load<1>(corner, first, thread, patch);
        end_copies();
        wait_for_copies<0>();
        walks[thread].start(*this, patch, thread);
      });
      for (Index stage = 0; stage * kStageSteps < chunk.all; ++stage) {
        block.each_thread([&](int thread) {
          fetch(chunk, stage + kStages - 1, thread, patch);
          multiply(chunk, stage, thread, patch, walks[thread], sums[thread]);
          wait_for_copies<kStages - 2>();
        });
      }
    }
    block.each_thread([&](int thread) { store(corner, thread, sums[thread]); });
  }

 private:
  /// Where a block's results begin.
  struct Corner {
    Index image, row, column, tile;
    DEQ_HOST_DEVICE Corner(const ConvTiles& cut, Index block) {
      const Index patch = block / cut.columns, line = patch / cut.across, images = line / cut.down;
      tile = (block - patch * cut.columns) * kTiles;
      column = (patch - line * cut.across) << cut.log_w;
      row = (line - images * cut.down) << cut.log_h;
      image = images * cut.patch_images;
    }
  };

  /// Part of the products: `all` groups of 8 values of k, `steps` of them by tap, and where their weights begin.
  struct Chunk {
    Index steps, all, row_elements;
    const float* weights;
    DEQ_HOST_DEVICE Chunk(const TileConv& conv, const Corner& corner, Index first) {
      const ConvTiles& cut = conv.cut;
      const Index left = cut.depth - first / 8, taps = cut.kernel_h * cut.kernel_w;
      steps = left < cut.chunk / 8 ? left : cut.chunk / 8;
      all = taps * steps;
      row_elements = cut.tiles * cut.columns * kTileElements;
      weights = conv.w + first / 8 * taps * row_elements + corner.tile * kTileElements;
    }
  };

  /// Channels [first, first + chunk) of what the block's results read; zero outside the image. kWord: channels of a
  /// copy. A thread keeps to columns and channels and walks down the lines of the patch.
  template <int kWord>
  DEQ_HOST_DEVICE void load(const Corner& corner, Index first, int thread, float* patch) const {
    const Index lines = cut.patch_h * cut.patch_images;
    for (Index i = thread; i < cut.patch_w * quads.divisor; i += ConvTiles::kThreads) {
      const Index own = quads.quotient(i), quad = 4 * (i - own * quads.divisor);
      const Index column = corner.column * cut.stride - cut.pad_w + own, channel = first + quad;
      const bool is_inside = column >= 0 && column < cut.width;
      float* to = patch + own * cut.pitch() + quad;
      for (Index line = 0; line < lines; ++line, to += cut.patch_w * cut.pitch()) {
        const Index image = patch_h.quotient(line), b = corner.image + image;
        const Index row = corner.row * cut.stride - cut.pad_h + line - image * cut.patch_h;
        const bool is_there = is_inside && b < cut.batch && row >= 0 && row < cut.height;
        const Index offset = ((b * cut.height + row) * cut.width + column) * cut.in + channel;
        for (int k = 0; k < 4; k += kWord) {
          const bool is_channel = is_there && channel + k < cut.in;
          copy_async<4 * kWord>(to + k, x + (is_channel ? offset + k : 0), is_channel);
        }
      }
    }
  }
  [[nodiscard]] DEQ_HOST_DEVICE float* stage_at(float* patch, Index stage) const {
    return patch + cut.patch_pixels() * cut.pitch() + stage % kStages * kStageElements;
  }
  /// Weights of a stage, as far as there are any. Always one group of copies.
  DEQ_HOST_DEVICE void fetch(const Chunk& chunk, Index stage, int thread, float* patch) const {
    constexpr Index kQuads = kTiles * kTileElements / 4;
    float* const to = stage_at(patch, stage);
    for (Index i = thread; i < kStageSteps * kQuads; i += ConvTiles::kThreads) {
      const Index step = i / kQuads, quad = 4 * (i - step * kQuads), row = stage * kStageSteps + step;
      if (row < chunk.all) copy_async<16>(to + 4 * i, chunk.weights + row * chunk.row_elements + quad);
    }
    end_copies();
  }

  /// The pixels of a lane's rows, channel group by channel group and tap by tap.
  struct Walk {
    const float* rows[4] = {};
    Index step = 0, across = 0;
    DEQ_HOST_DEVICE void start(const TileConv& conv, const float* patch, int thread) {
      for (int k = 0; k < 4; ++k) rows[k] = patch + conv.offset_of(thread / kWarp * kWarp + thread % kWarp / 4 + 8 * k);
      step = across = 0;
    }
    DEQ_HOST_DEVICE void advance(const ConvTiles& cut, Index steps) {
      Index by = 8;
      if (++step == steps) {
        step = 0;
        by = cut.pitch() - 8 * (steps - 1);
        if (++across == cut.kernel_w) {
          across = 0;
          by += (cut.patch_w - cut.kernel_w) * cut.pitch();
        }
      }
      for (const float*& row : rows) row += by;
    }
  };
  DEQ_HOST_DEVICE void multiply(const Chunk& chunk, Index stage, int thread, float* patch, Walk& walk,
                                WarpSums<kTiles>& sums) const {
    const float* weights = stage_at(patch, stage);
    for (Index step = 0; step < kStageSteps; ++step, weights += kTiles * kTileElements) {
      if (stage * kStageSteps + step >= chunk.all) return;
      multiply_tiles(walk.rows, weights, thread % kWarp, sums);
      walk.advance(cut, chunk.steps);
    }
  }
  /// Where in the patch what result `pixel` of the block reads begins.
  DEQ_HOST_DEVICE Index offset_of(Index pixel) const {
    const Index column = pixel & ((1 << cut.log_w) - 1), line = pixel >> cut.log_w;
    const Index row = line & ((1 << cut.log_h) - 1), image = line >> cut.log_h;
    return ((image * cut.patch_h + row * cut.stride) * cut.patch_w + column * cut.stride) * cut.pitch();
  }

  DEQ_HOST_DEVICE void store(const Corner& corner, int thread, const WarpSums<kTiles>& sums) const {
    const int lane = thread % kWarp;
    for (int k = 0; k < 4; ++k) {
      const Index pixel = thread / kWarp * kWarp + lane / 4 + 8 * k, line = pixel >> cut.log_w;
      const Index column = corner.column + (pixel & ((1 << cut.log_w) - 1));
      const Index row = corner.row + (line & ((1 << cut.log_h) - 1)), image = corner.image + (line >> cut.log_h);
      if (image >= cut.batch || row >= cut.out_h || column >= cut.out_w) continue;
      float* to = y + ((image * cut.out_h + row) * cut.out_w + column) * cut.out;
      for (int tile = 0; tile < kTiles; ++tile) {
        const Index channel = (corner.tile + tile) * 8 + lane % 4 * 2;
        const float* pair = &sums.at[k / 2][tile][k % 2 * 2];
        if (cut.out % 2 == 0) {
          if (channel < cut.out) *reinterpret_cast<PairOfFloats*>(to + channel) = {pair[0], pair[1]};
        } else {
          for (int i = 0; i < 2; ++i)
            if (channel + i < cut.out) to[channel + i] = pair[i];
        }
      }
    }
  }
  struct alignas(8) PairOfFloats {
    float first, second;
  };
};

}  // namespace deq::cuda
