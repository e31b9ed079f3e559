#pragma once

#include <span>

namespace deq {

/// Solves A x = b for a small symmetric matrix in double, without allocating.
/// @param a  [n, n] row-major, lower triangle read; overwritten by its Cholesky factor
/// @param b  [n] right-hand side; overwritten by x
/// @returns false when A is not safely positive definite (a pivot below 1e-14 of the diagonal); b is then spoiled
[[nodiscard]] bool solve_cholesky(std::span<double> a, std::span<double> b);

}  // namespace deq
