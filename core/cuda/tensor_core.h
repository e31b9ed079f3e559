#pragma once

#include "core/cuda/tile_format.h"
#include "core/cuda/unrolled.h"

// Products of small tiles of a format (core/cuda/tile_format.h). On a device they run on tensor cores; the host
// computes the same sums thread by thread from the same memory.

namespace deq::cuda {

/// What one lane of a warp keeps of C [32, 8 kTiles]: of every tile, rows lane / 4 + {0, 8, 16, 24} and columns
/// 2 (lane % 4) + {0, 1}.
template <int kTiles>
struct WarpSums {
  float at[2][kTiles][4] = {};  ///< [half of the rows][tile][row of {0, 8}, column]
};

/// Where A's rows lane / 4 + {0, 8, 16, 24} begin.
struct LaneRows {
  const float* at[4];
};

#ifdef __CUDA_ARCH__
/// A lane's part of A [32,8], not rounded.
struct LaneOfA {
  float at[2][4];
  __device__ void load(const LaneRows& rows, int lane) {
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
      for (int i = 0; i < 4; ++i) at[half][i] = load_shared(rows.at[2 * half + i % 2] + lane % 4 + i / 2 * 4);
  }
};
#endif

/// C += A B for one warp and 8 kSteps values of k. rows_of(step) tells where A's rows of that step begin (LaneRows); A
/// is rounded here. B's tiles lie one after the other, step by step. What later products need is on its way while
/// earlier ones are computed: memory takes longer to answer than a product.
template <class Format, int kSteps, int kTiles, class RowsOf>
DEQ_HOST_DEVICE void multiply_steps(const RowsOf& rows_of, const float* b, int lane, WarpSums<kTiles>& sums) {
#ifdef __CUDA_ARCH__
  constexpr int kAll = kSteps * kTiles, kAhead = kAll < 4 ? kAll : 4;
  LaneOfA raw;
  typename Format::OfB ahead[kAhead];
  const float* const own_b = b + Format::kWords / kWarp * lane;
  raw.load(rows_of(0), lane);
  unrolled<kAhead>([&](int i) { ahead[i] = Format::load_b(own_b + i * Format::kWords); });
  unrolled<kSteps>([&](int step) {
    const typename Format::OfA upper(raw.at[0]), lower(raw.at[1]);
    if (step + 1 < kSteps) raw.load(rows_of(step + 1), lane);
    unrolled<kTiles>([&](int tile) {
      const int i = step * kTiles + tile;
      const typename Format::OfB own = ahead[i % kAhead];
      if (i + kAhead < kAll) ahead[i % kAhead] = Format::load_b(own_b + (i + kAhead) * Format::kWords);
      Format::multiply(upper, own, sums.at[0][tile]);
      Format::multiply(lower, own, sums.at[1][tile]);
    });
  });
#else
  for (int step = 0; step < kSteps; ++step, b += kTiles * Format::kWords)
    for (int half = 0; half < 2; ++half)
      for (int tile = 0; tile < kTiles; ++tile)
        for (int i = 0; i < 4; ++i)
          for (int k = 0; k < 8; ++k)
            sums.at[half][tile][i] += Format::rounded(rows_of(step).at[2 * half + i / 2][k]) *
                                      Format::of_b(b + tile * Format::kWords, k, lane % 4 * 2 + i % 2);
#endif
}

}  // namespace deq::cuda
