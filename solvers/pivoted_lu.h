#pragma once

#include <span>

namespace deq {

/// Solves A x = b for a small general matrix in double by elimination with row pivots, without allocating.
/// @param a  [n, n] row-major; overwritten
/// @param b  [n] right-hand side; overwritten by x
/// @returns false when A is singular to rounding (a pivot below 1e-14 of its largest entry) or not finite; b is spoiled
[[nodiscard]] bool solve_pivoted(std::span<double> a, std::span<double> b);

}  // namespace deq
