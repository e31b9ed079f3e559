#pragma once

#include <bit>
#include <cstdint>

namespace deq {

/// The upper half of a float: its sign, exponent and 7 bits of its fraction. Storage only; nothing computes in it.
struct Bfloat16 {
  std::uint16_t bits = 0;
};

inline float widen(Bfloat16 x) { return std::bit_cast<float>(std::uint32_t{x.bits} << 16); }

/// Nearest, ties to even; relative error <= 2^-9. Finite values beyond the largest become inf; nan is not kept.
inline Bfloat16 round_to_bfloat16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  return {static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16)};
}

}  // namespace deq
