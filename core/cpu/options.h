#pragma once

#include <cstdint>

namespace deq {

/// How convolutions are computed.
enum class ConvAlgorithm : std::uint8_t {
  automatic,  ///< per shape: Winograd where it is the faster of the exact ones, else direct
  direct,     ///< f32, relative error of a convolution about 2e-7
  winograd,   ///< F(4x4,3x3) wherever it is possible (3x3, stride 1), about 1e-6; else direct
  bf16,       ///< forward and (of stride 1 at least) input gradient with operands rounded to bf16, sums in f32, about
              ///< 3e-3; within a ConvBlock what lies between is bf16 too; a processor without avx512_bf16 rounds and
              ///< multiplies in f32, slower than `direct`
};

/// Choices of the CPU backend.
struct CpuOptions {
  ConvAlgorithm algorithm = ConvAlgorithm::automatic;
};

}  // namespace deq
