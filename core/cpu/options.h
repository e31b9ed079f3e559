#pragma once

#include <cstdint>

namespace deq {

/// How 3x3 convolutions of stride 1 are computed. `winograd` takes F(4x4,3x3) where oneDNN has it (relative
/// error 1e-6 instead of 2e-7 a convolution); convolutions without it stay direct.
enum class ConvAlgorithm : std::uint8_t { direct, winograd };

/// Choices of the CPU backend.
struct CpuOptions {
  ConvAlgorithm algorithm = ConvAlgorithm::direct;
};

}  // namespace deq
