#pragma once

#include <bit>
#include <cstdint>

#include "core/elementwise.h"

namespace deq::cuda {

/// The bits of `x` rounded to bf16, to even where two are as near; nan stays nan.
DEQ_HOST_DEVICE inline std::uint16_t bf16_of(float x) {
#ifdef __CUDA_ARCH__
  const std::uint32_t bits = __float_as_uint(x);
#else
  const auto bits = std::bit_cast<std::uint32_t>(x);
#endif
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}
DEQ_HOST_DEVICE inline float from_bf16(std::uint16_t x) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(std::uint32_t{x} << 16);
#else
  return std::bit_cast<float>(std::uint32_t{x} << 16);
#endif
}

/// A number kept in 16 bits; nothing computes in it.
struct Bf16 {
  std::uint16_t bits = 0;
};

// Stored elements and the type that computes with them.
DEQ_HOST_DEVICE inline float widened(Bf16 x) { return from_bf16(x.bits); }
DEQ_HOST_DEVICE inline float widened(float x) { return x; }
DEQ_HOST_DEVICE inline double widened(double x) { return x; }
DEQ_HOST_DEVICE inline void store(float x, Bf16& to) { to.bits = bf16_of(x); }
DEQ_HOST_DEVICE inline void store(float x, float& to) { to = x; }
DEQ_HOST_DEVICE inline void store(double x, double& to) { to = x; }

}  // namespace deq::cuda
