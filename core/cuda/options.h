#pragma once

#include <cstdint>

namespace deq {

/// How convolutions and matrix products are computed. Everything else, and every value kept between operations, is f32.
enum class CudaPrecision : std::uint8_t {
  f32,   ///< fused multiply-adds in f32
  tf32,  ///< tensor cores; operands rounded to 10 bits of mantissa, sums in f32
  bf16,  ///< tensor cores; operands, and results of the library's convolutions, rounded to 7 bits, sums in f32
};

/// Choices of the CUDA backend.
struct CudaOptions {
  CudaPrecision precision = CudaPrecision::tf32;
  /// Only algorithms that give the same bits in every run. Our own kernels always do.
  bool is_deterministic = false;
};

}  // namespace deq
