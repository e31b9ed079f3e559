#pragma once

#include <bit>
#include <cstdint>

#include "core/cuda/launch.h"
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

/// C += A B for one warp and 8 values of k. `rows` are where A's rows lane / 4 + {0, 8, 16, 24} begin; A is rounded
/// here, B's tiles lie one after the other.
template <int kTiles>
DEQ_HOST_DEVICE void multiply_tiles(const float* const (&rows)[4], const float* b, int lane, WarpSums<kTiles>& sums) {
#ifdef __CUDA_ARCH__
  const int k = lane % 4;
  std::uint32_t a[2][4];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float *top = rows[2 * half], *bottom = rows[2 * half + 1];
    a[half][0] = __float_as_uint(rounded_to_tf32(top[k]));
    a[half][1] = __float_as_uint(rounded_to_tf32(bottom[k]));
    a[half][2] = __float_as_uint(rounded_to_tf32(top[k + 4]));
    a[half][3] = __float_as_uint(rounded_to_tf32(bottom[k + 4]));
  }
#pragma unroll
  for (int tile = 0; tile < kTiles; ++tile) {
    const float2 pair = reinterpret_cast<const float2*>(b + tile * kTileElements)[lane];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float(&c)[4] = sums.at[half][tile];
      asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
          : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
          : "r"(a[half][0]), "r"(a[half][1]), "r"(a[half][2]), "r"(a[half][3]), "r"(__float_as_uint(pair.x)),
            "r"(__float_as_uint(pair.y)));
    }
  }
#else
  for (int half = 0; half < 2; ++half)
    for (int tile = 0; tile < kTiles; ++tile)
      for (int i = 0; i < 4; ++i)
        for (int k = 0; k < 8; ++k)
          sums.at[half][tile][i] += rounded_to_tf32(rows[2 * half + i / 2][k]) *
                                    b[tile * kTileElements + tile_offset(k, lane % 4 * 2 + i % 2)];
#endif
}

}  // namespace deq::cuda
