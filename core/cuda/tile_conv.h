#pragma once

#include "core/cuda/async_copy.h"
#include "core/cuda/conv_tiles.h"
#include "core/cuda/divider.h"
#include "core/cuda/tensor_core.h"
#include "core/cuda/unrolled.h"

namespace deq::cuda {

/// A convolution: one patch and kTiles tiles of channels (core/cuda/conv_tiles.h) of a format (tile_format.h). A block
/// program whose threads keep their sums from phase to phase. Weights are those of pack_tiles.h.
template <class Format, int kTiles, Taps kTaps>
struct TileConv {
  ConvTiles cut;
  Divider quads, patch_w, patch_h;  ///< by quads of channels of a stage, columns and rows of a patch
  const float *x, *w;
  float* y;

  TileConv(const ConvTiles& of, const float* image, const float* packed, float* result)
      : cut(of), quads(of.chunk / 4), patch_w(of.patch_w), patch_h(of.patch_h), x(image), w(packed), y(result) {}

  [[nodiscard]] static std::size_t shared_bytes(const ConvTiles& cut) {
    return static_cast<std::size_t>(cut.shared_elements(kTiles, cut.stages)) * sizeof(float);
  }

  template <class Block>
  DEQ_HOST_DEVICE void operator()(const Block& block) const {
    const TileCorner corner(cut, kTiles, block.index());
    float* const shared = block.template shared<float>();
    typename Block::template Kept<WarpSums<kTiles>> sums(block);
    typename Block::template Kept<Rows> rows(block);
    block.each_thread([&](int thread) {
      locate(corner, thread, shared);
      rows[thread] = Rows(*this, thread);
    });
    block.each_thread([&](int thread) {
      for (Index stage = 0; stage + 1 < cut.stages; ++stage) fetch(corner, stage, stage, thread, shared);
      wait_for_stage();
    });
    Index slot = 0, free_slot = cut.stages - 1;  // where this stage lies, and where the one before it lay
    for (Index stage = 0; stage * cut.chunk < cut.in; ++stage) {
      block.each_thread([&](int thread) {
        fetch(corner, stage + cut.stages - 1, free_slot, thread, shared);
        multiply(stage, slot_at(shared, slot), rows[thread], thread, sums[thread]);
        wait_for_stage();
      });
      free_slot = slot;
      slot = slot + 1 < cut.stages ? slot + 1 : 0;
    }
    block.each_thread([&](int thread) { store(corner, thread, sums[thread]); });
  }

 private:
  [[nodiscard]] DEQ_HOST_DEVICE float* slot_at(float* shared, Index slot) const {
    return shared + slot * cut.stage_elements(kTiles * Format::kWords);
  }
  [[nodiscard]] DEQ_HOST_DEVICE Index* origins_in(float* shared) const {
    return reinterpret_cast<Index*>(slot_at(shared, cut.stages));
  }

  /// Where the first channel of every pixel of the patch is in x; -1 outside the image.
  DEQ_HOST_DEVICE void locate(const TileCorner& corner, int thread, float* shared) const {
    for (Index pixel = thread; pixel < cut.patch_pixels(); pixel += ConvTiles::kThreads) {
      const Index line = patch_w.quotient(pixel), image = patch_h.quotient(line), b = corner.image + image;
      const Index column = corner.column * cut.stride - cut.pad_w + pixel - line * cut.patch_w;
      const Index row = corner.row * cut.stride - cut.pad_h + line - image * cut.patch_h;
      const bool is_there = b < cut.batch && row >= 0 && row < cut.height && column >= 0 && column < cut.width;
      origins_in(shared)[pixel] = is_there ? ((b * cut.height + row) * cut.width + column) * cut.in : -1;
    }
  }

  /// Starts what brings a stage into `slot`, as far as there is one. Always one group of copies.
  DEQ_HOST_DEVICE void fetch(const TileCorner& corner, Index stage, Index slot, int thread, float* shared) const {
    float* const to = slot_at(shared, slot);
    if (stage * cut.chunk < cut.in) {
      if (cut.in % 4 == 0)
        fetch_patch<4>(stage * cut.chunk, origins_in(shared), thread, to);
      else
        fetch_patch<1>(stage * cut.chunk, origins_in(shared), thread, to);
      fetch_weights(corner, stage, thread, to + cut.patch_elements());
    }
    end_copies();
  }
  /// Channels [first, first + chunk) of the patch; zero where there are none. kWord: channels of a copy.
  template <int kWord>
  DEQ_HOST_DEVICE void fetch_patch(Index first, const Index* origins, int thread, float* patch) const {
    for (Index i = thread; i < cut.patch_pixels() * quads.divisor; i += ConvTiles::kThreads) {
      const Index pixel = kTaps == Taps::one ? quads.quotient(i) : i / 2, quad = 4 * (i - pixel * quads.divisor);
      const Index origin = origins[pixel], channel = first + quad;
      for (int k = 0; k < 4; k += kWord) {
        const bool is_there = origin >= 0 && channel + k < cut.in;
        copy_async<4 * kWord>(patch + pixel * cut.pitch() + quad + k, x + (is_there ? origin + channel + k : 0),
                              is_there);
      }
    }
  }
  DEQ_HOST_DEVICE void fetch_weights(const TileCorner& corner, Index stage, int thread, float* to) const {
    constexpr Index kQuads = kTiles * Format::kWords / 4;
    const Index row_elements = cut.tiles * cut.columns * Format::kWords, rows = cut.taps() * groups_of(stage);
    const float* const from = w + stage * (cut.chunk / 8) * cut.taps() * row_elements + corner.tile * Format::kWords;
    for (Index i = thread; i < rows * kQuads; i += ConvTiles::kThreads) {
      const Index row = i / kQuads, quad = 4 * (i - row * kQuads);
      copy_async<16>(to + 4 * i, from + row * row_elements + quad);
    }
  }
  /// Groups of 8 channels of a stage.
  [[nodiscard]] DEQ_HOST_DEVICE Index groups_of(Index stage) const {
    const Index left = cut.depth - stage * (cut.chunk / 8);
    return left < cut.chunk / 8 ? left : cut.chunk / 8;
  }
  /// Until the stage after this one is there.
  DEQ_HOST_DEVICE void wait_for_stage() const {
    if (cut.stages == 2)
      wait_for_copies<0>();
    else if (cut.stages == 3)
      wait_for_copies<1>();
    else
      wait_for_copies<2>();
  }

  /// Where in the patch the pixels of a lane's rows begin.
  struct Rows {
    Index at[4] = {};
    DEQ_HOST_DEVICE Rows() = default;
    DEQ_HOST_DEVICE Rows(const TileConv& conv, int thread) {
      for (int k = 0; k < 4; ++k) at[k] = conv.offset_of(thread / kWarp * kWarp + thread % kWarp / 4 + 8 * k);
    }
  };
  DEQ_HOST_DEVICE void multiply(Index stage, const float* patch, const Rows& rows, int thread,
                                WarpSums<kTiles>& sums) const {
    const float* const weights = patch + cut.patch_elements();
    const auto rows_from = [&](Index offset) {
      const float* const from = patch + offset;
      return LaneRows{{from + rows.at[0], from + rows.at[1], from + rows.at[2], from + rows.at[3]}};
    };
    const int lane = thread % kWarp;
    if constexpr (kTaps == Taps::one) {
      const auto rows_of = [&](int group) { return rows_from(8 * group); };
      switch (groups_of(stage)) {
        case 1: return multiply_steps<Format, 1>(rows_of, weights, lane, sums);
        case 2: return multiply_steps<Format, 2>(rows_of, weights, lane, sums);
        case 3: return multiply_steps<Format, 3>(rows_of, weights, lane, sums);
        default: return multiply_steps<Format, 4>(rows_of, weights, lane, sums);
      }
    } else if constexpr (kTaps == Taps::three_by_three) {
      constexpr Index kPitch = 12;  // of 8 channels
      const Index line = cut.patch_w * kPitch;
      multiply_steps<Format, 9>([&](int tap) { return rows_from(tap / 3 * line + tap % 3 * kPitch); }, weights, lane,
                                sums);
    } else {
      for (Index tap = 0; tap < cut.taps(); ++tap) {
        const Index row = tap / cut.kernel_w, column = tap - row * cut.kernel_w;
        multiply_steps<Format, 1>([&](int) { return rows_from((row * cut.patch_w + column) * cut.pitch()); },
                                  weights + tap * kTiles * Format::kWords, lane, sums);
      }
    }
  }
  /// Where in the patch what result `pixel` of the block reads begins.
  DEQ_HOST_DEVICE Index offset_of(Index pixel) const {
    const Index column = pixel & ((1 << cut.log_w) - 1), line = pixel >> cut.log_w;
    const Index row = line & ((1 << cut.log_h) - 1), image = line >> cut.log_h;
    return ((image * cut.patch_h + row * cut.stride) * cut.patch_w + column * cut.stride) * cut.pitch();
  }

  DEQ_HOST_DEVICE void store(const TileCorner& corner, int thread, const WarpSums<kTiles>& sums) const {
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
