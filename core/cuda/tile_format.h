#pragma once

#include <bit>
#include <cstdint>

#include "core/cuda/bf16.h"
#include "core/cuda/launch.h"
#include "core/cuda/options.h"

// What products of small tiles multiply: f32 rounded to 10 bits of mantissa (TF32) or 7 (bf16); sums are f32. A is f32
// in memory and rounded by the lane that reads it. B lies rounded in memory, an [8,8] tile in the order in which a warp
// reads it: lane 4 n + k % 4 has B[k % 4, n] and B[k % 4 + 4, n].
//
// A format defines: kWords, 4-byte words of a tile of B; pack, which writes one of them; on a device OfA and OfB, what
// a lane has of A [16,8] and of B, and multiply; on the host rounded and of_b.

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

/// 4-byte words of a tile of B.
DEQ_HOST_DEVICE constexpr Index tile_words(CudaPrecision precision) {
  return precision == CudaPrecision::bf16 ? 32 : 64;
}

#ifdef __CUDA_ARCH__
// Volatile, loads and products keep their order: compilers would rather load late and wait than use more registers.

__device__ inline unsigned shared_address(const void* at) {
  return static_cast<unsigned>(__cvta_generic_to_shared(at));
}
__device__ inline float load_shared(const float* from) {
  float value;
  asm volatile("ld.shared.f32 %0, [%1];" : "=f"(value) : "r"(shared_address(from)));
  return value;
}
#endif

struct Tf32Tiles {
  static constexpr Index kWords = tile_words(CudaPrecision::tf32);

  /// Word i of a tile whose element [k, n] is b(k, n).
  template <class B>
  DEQ_HOST_DEVICE static void pack(const B& b, Index i, float& to) {
    to = rounded_to_tf32(b(i / 2 % 4 + i % 2 * 4, i / 8));
  }

#ifdef __CUDA_ARCH__
  struct OfA {
    float at[4];
    __device__ explicit OfA(const float (&raw)[4]) {
#pragma unroll
      for (int i = 0; i < 4; ++i) at[i] = rounded_to_tf32(raw[i]);
    }
  };
  using OfB = float2;
  __device__ static OfB load_b(const float* own) {
    float2 value;
    asm volatile("ld.shared.v2.f32 {%0,%1}, [%2];" : "=f"(value.x), "=f"(value.y) : "r"(shared_address(own)));
    return value;
  }
  __device__ static void multiply(const OfA& a, const OfB& b, float (&c)[4]) {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(__float_as_uint(a.at[0])), "r"(__float_as_uint(a.at[1])), "r"(__float_as_uint(a.at[2])),
          "r"(__float_as_uint(a.at[3])), "r"(__float_as_uint(b.x)), "r"(__float_as_uint(b.y)));
  }
#else
  static float rounded(float x) { return rounded_to_tf32(x); }
  static float of_b(const float* tile, Index k, Index n) { return tile[(n * 4 + k % 4) * 2 + k / 4]; }
#endif
};

struct Bf16Tiles {
  static constexpr Index kWords = tile_words(CudaPrecision::bf16);

  template <class B>
  DEQ_HOST_DEVICE static void pack(const B& b, Index i, float& to) {
    const std::uint32_t pair = bf16_of(b(i % 4, i / 4)) | std::uint32_t{bf16_of(b(i % 4 + 4, i / 4))} << 16;
#ifdef __CUDA_ARCH__
    to = __uint_as_float(pair);
#else
    to = std::bit_cast<float>(pair);
#endif
  }

#ifdef __CUDA_ARCH__
  /// The instruction wants neighbours in k, but sums do not care which are called so: k and k + 4 are, in A and in B.
  struct OfA {
    std::uint32_t at[2];
    __device__ explicit OfA(const float (&raw)[4]) {
#pragma unroll
      for (int i = 0; i < 2; ++i) asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(at[i]) : "f"(raw[i + 2]), "f"(raw[i]));
    }
  };
  using OfB = std::uint32_t;
  __device__ static OfB load_b(const float* own) {
    std::uint32_t value;
    asm volatile("ld.shared.b32 %0, [%1];" : "=r"(value) : "r"(shared_address(own)));
    return value;
  }
  __device__ static void multiply(const OfA& a, const OfB& b, float (&c)[4]) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a.at[0]), "r"(a.at[1]), "r"(b));
  }
#else
  static float rounded(float x) { return from_bf16(bf16_of(x)); }
  static float of_b(const float* tile, Index k, Index n) {
    const auto pair = std::bit_cast<std::uint32_t>(tile[n * 4 + k % 4]);
    return from_bf16(static_cast<std::uint16_t>(pair >> (k / 4 * 16)));
  }
#endif
};

}  // namespace deq::cuda
