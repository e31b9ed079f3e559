#pragma once

#include <cstdint>

#include "core/cpu/bfloat16.h"

namespace deq {

/// Contiguous vector loops behind HostStateOps, `n` elements each. Every one is compiled for several instruction sets
/// and picked when the program loads.
///
/// Sums: a float lane takes at most four products before double takes over, so a dot of floats is off by about 1e-8 of
/// |x| |y|; doubles are added in double. A product of floats beyond 3e38 is inf, as the values themselves would be
/// soon.

double dot(const float* x, const float* y, std::int64_t n);
double dot(const double* x, const double* y, std::int64_t n);
double dot(const Bfloat16* x, const float* y, std::int64_t n);
double dot(const Bfloat16* x, const double* y, std::int64_t n);
/// y += a x, returns (new y) . x: a link of a product-form chain.
double add_scaled_dot(double a, const float* x, float* y, std::int64_t n);
double add_scaled_dot(double a, const double* x, double* y, std::int64_t n);
double add_scaled_dot(double a, const Bfloat16* x, float* y, std::int64_t n);
double add_scaled_dot(double a, const Bfloat16* x, double* y, std::int64_t n);
/// y = b y + a x; y is not read when b is 0.
void scale_add(double b, float* y, double a, const float* x, std::int64_t n);
void scale_add(double b, double* y, double a, const double* x, std::int64_t n);
void scale_add(double b, float* y, double a, const Bfloat16* x, std::int64_t n);
void scale_add(double b, double* y, double a, const Bfloat16* x, std::int64_t n);

struct ResidualSums {
  double residual = 0.0;  ///< |f - z|^2
  double value = 0.0;     ///< |f|^2
};
/// r = f - z (r may be null), with the sums of squares.
ResidualSums subtract(const float* f, const float* z, float* r, std::int64_t n);
ResidualSums subtract(const double* f, const double* z, double* r, std::int64_t n);

/// p = a p, z += p (z may be null); returns |p|^2.
double scale_and_advance(double a, float* p, float* z, std::int64_t n);
double scale_and_advance(double a, double* p, double* z, std::int64_t n);
/// stored = a p rounded, z += a p (z may be null); returns |stored|^2.
double scale_round_advance(double a, const float* p, Bfloat16* stored, float* z, std::int64_t n);
double scale_round_advance(double a, const double* p, Bfloat16* stored, double* z, std::int64_t n);

/// Copies `bytes` past the caches, so that the line written to is not read first.
void stream_copy(const void* from, void* to, std::int64_t bytes);

}  // namespace deq
