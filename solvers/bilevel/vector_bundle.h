#pragma once

#include <span>

#include "solvers/bilevel/problem.h"

// Products with many long vectors at once: each of them is read from memory once, in pieces that stay in the first
// cache, on all threads and with one barrier for all of them. Sums are taken over blocks that depend on the length
// alone and are added in a fixed order, so the bits do not depend on the number of threads. Vectors of float are
// rounded storage; all arithmetic is in double.

namespace deq {

/// out [n, 1 + n_columns], row by row: row i is v_i^T x and then v_i^T v_c for every c in `columns`.
/// @param vectors  [n] pointers to x.size() numbers each
/// @param columns  [n_columns] places in `vectors`
template <class Scalar>
void bundle_dots(std::span<const Scalar* const> vectors, ConstVector x, std::span<const int> columns, Vector out);

/// out = gain x + sum_i weights[i] v_i; `out` may be `x`.
/// @param vectors, weights  [n]; pointers to x.size() numbers each
template <class Scalar>
void bundle_combine(std::span<const Scalar* const> vectors, ConstVector weights, double gain, ConstVector x,
                    Vector out);

/// Of the stored (rounded) vectors: s^T y, s^T s and y^T y.
struct PairSums {
  double curvature = 0.0;
  double step_squared = 0.0;
  double change_squared = 0.0;
};
/// Copies s and y (same length) to `stored_s` and `stored_y`, rounded to Scalar.
template <class Scalar>
PairSums store_pair(ConstVector s, ConstVector y, Scalar* stored_s, Scalar* stored_y);

}  // namespace deq
