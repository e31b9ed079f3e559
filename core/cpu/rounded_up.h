#pragma once

#include <cstdint>

namespace deq::cpu {

/// The smallest multiple of `step` that is not below `n`; n >= 0, step >= 1.
constexpr std::int64_t rounded_up(std::int64_t n, std::int64_t step) { return (n + step - 1) / step * step; }

}  // namespace deq::cpu
