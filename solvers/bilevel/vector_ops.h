#pragma once

#include "solvers/bilevel/problem.h"

// Products and sums over long vectors of doubles, on all threads. Sums are taken over blocks that depend on the length
// alone and are added in a fixed order, so the bits do not depend on the number of threads. All arguments of a call
// have the same length.

namespace deq {

/// x^T y.
[[nodiscard]] double dot(ConstVector x, ConstVector y);
/// Euclidean norm.
[[nodiscard]] double norm(ConstVector x);
/// y += a x.
void add_scaled(double a, ConstVector x, Vector y);
/// y += a x, then @returns z^T y; one pass. `z` may be `y`.
double add_scaled_dot(double a, ConstVector x, Vector y, ConstVector z);
/// y += a x, then x = z + b x; one pass.
void add_scaled_turn(double a, Vector x, Vector y, ConstVector z, double b);
/// out = x + a y; `out` may be either.
void combine(ConstVector x, double a, ConstVector y, Vector out);
/// x *= a.
void scale(double a, Vector x);
void copy(ConstVector from, Vector to);
/// Whether x and y have the same bits.
[[nodiscard]] bool is_same(ConstVector x, ConstVector y);
/// |x - y| / |y|; |x| when y is zero.
[[nodiscard]] double relative_error(ConstVector x, ConstVector y);
/// x^T y / (|x| |y|); 0 when either is zero.
[[nodiscard]] double cosine(ConstVector x, ConstVector y);

}  // namespace deq
