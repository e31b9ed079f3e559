#pragma once

#include <bit>
#include <cstdint>

#include "core/cuda/launch.h"
#include "core/cuda/unrolled.h"
#include "core/elementwise.h"

// Products of small tiles in TF32: operands have 10 bits of mantissa, sums are f32. On a device they run on tensor
// cores (PTX: mma.m16n8k8); the host computes the same sums thread by thread from the same memory.

namespace deq::cuda {

/// `x` rounded to 10 bits of mantissa, away from zero where two are as near; inf and nan stay.
DEQ_HOST_DEVICE inline float rounded_to_tf32(float x) {
#ifdef __CUDA_ARCH__
  std::uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return __uint_as_float(bits);
#else
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7f800000U) == 0x7f800000U) return x;
  return std::bit_cast<float>((bits + 0x1000U) & ~0x1fffU);
#endif
}

/// A [8,8] tile B of a product lies in memory in the order in which a warp reads it, a pair a lane.
inline constexpr Index kTileElements = 64;
/// Where B[k, n] lies.
DEQ_HOST_DEVICE constexpr Index tile_offset(Index k, Index n) { return (n * 4 + k % 4) * 2 + k / 4; }

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
// Volatile, loads and products keep their order: compilers would rather load late and wait than use more registers.

__device__ inline float load_shared(const float* from) {
  float value;
  asm volatile("ld.shared.f32 %0, [%1];" : "=f"(value) : "r"(static_cast<unsigned>(__cvta_generic_to_shared(from))));
  return value;
}
__device__ inline float2 load_shared_pair(const float* from) {
  float2 value;
  asm volatile("ld.shared.v2.f32 {%0,%1}, [%2];"
               : "=f"(value.x), "=f"(value.y)
               : "r"(static_cast<unsigned>(__cvta_generic_to_shared(from))));
  return value;
}

/// A lane's part of A [32,8], not rounded.
struct LaneOfA {
  float at[2][4];
  __device__ void load(const LaneRows& rows, int lane) {
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
      for (int i = 0; i < 4; ++i) at[half][i] = load_shared(rows.at[2 * half + i % 2] + lane % 4 + i / 2 * 4);
  }
  __device__ void round() {
#pragma unroll
    for (int i = 0; i < 8; ++i) at[i / 4][i % 4] = rounded_to_tf32(at[i / 4][i % 4]);
  }
};

__device__ inline void multiply_tile(const float (&a)[4], const float2& b, float (&c)[4]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])), "r"(__float_as_uint(a[3])),
        "r"(__float_as_uint(b.x)), "r"(__float_as_uint(b.y)));
}
#endif

/// C += A B for one warp and 8 kSteps values of k. rows_of(step) tells where A's rows of that step begin (LaneRows); A
/// is rounded here. B's tiles lie one after the other, step by step. What later products need is on its way while
/// earlier ones are computed: memory takes longer to answer than a product.
template <int kSteps, int kTiles, class RowsOf>
DEQ_HOST_DEVICE void multiply_steps(const RowsOf& rows_of, const float* b, int lane, WarpSums<kTiles>& sums) {
#ifdef __CUDA_ARCH__
  constexpr int kAll = kSteps * kTiles, kAhead = kAll < 4 ? kAll : 4;
  const float* const pairs = b + 2 * lane;
  LaneOfA a[2];
  float2 ahead[kAhead];
  a[0].load(rows_of(0), lane);
  unrolled<kAhead>([&](int i) { ahead[i] = load_shared_pair(pairs + i * kTileElements); });
  unrolled<kSteps>([&](int step) {
    a[step % 2].round();
    if (step + 1 < kSteps) a[(step + 1) % 2].load(rows_of(step + 1), lane);
    unrolled<kTiles>([&](int tile) {
      const int i = step * kTiles + tile;
      const float2 own = ahead[i % kAhead];
      if (i + kAhead < kAll) ahead[i % kAhead] = load_shared_pair(pairs + (i + kAhead) * kTileElements);
      multiply_tile(a[step % 2].at[0], own, sums.at[0][tile]);
      multiply_tile(a[step % 2].at[1], own, sums.at[1][tile]);
    });
  });
#else
  for (int step = 0; step < kSteps; ++step, b += kTiles * kTileElements)
    for (int half = 0; half < 2; ++half)
      for (int tile = 0; tile < kTiles; ++tile)
        for (int i = 0; i < 4; ++i)
          for (int k = 0; k < 8; ++k)
            sums.at[half][tile][i] += rounded_to_tf32(rows_of(step).at[2 * half + i / 2][k]) *
                                      b[tile * kTileElements + tile_offset(k, lane % 4 * 2 + i % 2)];
#endif
}

}  // namespace deq::cuda
