#include "core/cpu/state_kernels.h"

namespace deq {
namespace {

template <class T>
[[gnu::always_inline]] inline double dot_of(const T* x, const T* y, std::int64_t n) {
  double sum = 0.0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(y[i]);
  return sum;
}

template <class T>
[[gnu::always_inline]] inline double add_scaled_dot_of(T a, const T* x, T* y, std::int64_t n) {
  double sum = 0.0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) {
    const T updated = y[i] + a * x[i];
    y[i] = updated;
    sum += static_cast<double>(x[i]) * static_cast<double>(updated);
  }
  return sum;
}

template <class T>
[[gnu::always_inline]] inline void scale_add_of(T b, T* y, T a, const T* x, std::int64_t n) {
  if (b == T{0}) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = a * x[i];
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = b * y[i] + a * x[i];
  }
}

template <class T>
[[gnu::always_inline]] inline ResidualSums subtract_of(const T* f, const T* z, T* r, std::int64_t n) {
  double residual = 0.0;
  double value = 0.0;
  if (r != nullptr) {
#pragma omp simd reduction(+ : residual, value)
    for (std::int64_t i = 0; i < n; ++i) {
      const T difference = f[i] - z[i];
      r[i] = difference;
      residual += static_cast<double>(difference) * static_cast<double>(difference);
      value += static_cast<double>(f[i]) * static_cast<double>(f[i]);
    }
  } else {
#pragma omp simd reduction(+ : residual, value)
    for (std::int64_t i = 0; i < n; ++i) {
      const T difference = f[i] - z[i];
      residual += static_cast<double>(difference) * static_cast<double>(difference);
      value += static_cast<double>(f[i]) * static_cast<double>(f[i]);
    }
  }
  return {residual, value};
}

template <class T>
[[gnu::always_inline]] inline double scale_and_advance_of(T a, T* p, T* z, std::int64_t n) {
  double sum = 0.0;
  if (z != nullptr) {
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < n; ++i) {
      const T scaled = a * p[i];
      p[i] = scaled;
      z[i] += scaled;
      sum += static_cast<double>(scaled) * static_cast<double>(scaled);
    }
  } else {
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < n; ++i) {
      const T scaled = a * p[i];
      p[i] = scaled;
      sum += static_cast<double>(scaled) * static_cast<double>(scaled);
    }
  }
  return sum;
}

}  // namespace

// One attribute per function: the loops above are inlined into a version for each instruction set.
[[gnu::target_clones("avx512f", "avx2,fma", "default")]] double dot(const float* x, const float* y, std::int64_t n) {
  return dot_of(x, y, n);
}
[[gnu::target_clones("avx512f", "avx2,fma", "default")]] double dot(const double* x, const double* y, std::int64_t n) {
  return dot_of(x, y, n);
}
[[gnu::target_clones("avx512f", "avx2,fma", "default")]] double add_scaled_dot(double a, const float* x, float* y,
                                                                               std::int64_t n) {
  return add_scaled_dot_of(static_cast<float>(a), x, y, n);
}
[[gnu::target_clones("avx512f", "avx2,fma", "default")]] double add_scaled_dot(double a, const double* x, double* y,
                                                                               std::int64_t n) {
  return add_scaled_dot_of(a, x, y, n);
}
[[gnu::target_clones("avx512f", "avx2,fma", "default")]] void scale_add(double b, float* y, double a, const float* x,
                                                                        std::int64_t n) {
  scale_add_of(static_cast<float>(b), y, static_cast<float>(a), x, n);
}
[[gnu::target_clones("avx512f", "avx2,fma", "default")]] void scale_add(double b, double* y, double a, const double* x,
                                                                        std::int64_t n) {
  scale_add_of(b, y, a, x, n);
}
[[gnu::target_clones("avx512f", "avx2,fma", "default")]] ResidualSums subtract(const float* f, const float* z, float* r,
                                                                               std::int64_t n) {
  return subtract_of(f, z, r, n);
}
[[gnu::target_clones("avx512f", "avx2,fma", "default")]] ResidualSums subtract(const double* f, const double* z,
                                                                               double* r, std::int64_t n) {
  return subtract_of(f, z, r, n);
}
[[gnu::target_clones("avx512f", "avx2,fma", "default")]] double scale_and_advance(double a, float* p, float* z,
                                                                                  std::int64_t n) {
  return scale_and_advance_of(static_cast<float>(a), p, z, n);
}
[[gnu::target_clones("avx512f", "avx2,fma", "default")]] double scale_and_advance(double a, double* p, double* z,
                                                                                  std::int64_t n) {
  return scale_and_advance_of(a, p, z, n);
}

}  // namespace deq
