#pragma once

#include <cstdint>

#include "core/cuda/launch.h"
#include "core/elementwise.h"

namespace deq::cuda {

/// Division of numbers in [0, 2^31) by one divisor >= 1 as a product and a shift: a GPU has no divider. With
/// s = ceil(log2 d) and m = ceil(2^(31+s) / d), n m / 2^(31+s) exceeds n / d by less than 1 / d.
struct Divider {
  std::uint32_t multiplier = 0x80000000U;
  std::uint32_t shift = 31;
  Index divisor = 1;

  Divider() = default;
  explicit Divider(Index by) : divisor(by) {
    while ((std::int64_t{1} << (shift - 31)) < by) ++shift;
    multiplier = static_cast<std::uint32_t>(((std::uint64_t{1} << shift) + static_cast<std::uint64_t>(by) - 1) /
                                            static_cast<std::uint64_t>(by));
  }
  [[nodiscard]] DEQ_HOST_DEVICE Index quotient(Index n) const {
    return static_cast<Index>((static_cast<std::uint64_t>(static_cast<std::uint32_t>(n)) * multiplier) >> shift);
  }
};

}  // namespace deq::cuda
