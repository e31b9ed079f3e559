#pragma once

#include <cmath>
#include <cstdint>

// Layer normalisation of one row: sums run along it, where those of core/cpu/group_norm.cpp run down the columns.

namespace deq::cpu {

/// y = (x - mean) * rstd * gamma + beta over `n` >= 1 elements; gamma and beta may both be null, y and stats either.
/// stats: mean and rstd = 1 / sqrt(variance + eps).
inline void normalise_row(const float* x, std::int64_t n, double eps, const float* gamma, const float* beta, float* y,
                          float* stats) {
  double total = 0, spread = 0;
#pragma omp simd reduction(+ : total)
  for (std::int64_t c = 0; c < n; ++c) total += static_cast<double>(x[c]);
  const double mean = total / static_cast<double>(n);
#pragma omp simd reduction(+ : spread)
  for (std::int64_t c = 0; c < n; ++c) {
    const double distance = static_cast<double>(x[c]) - mean;
    spread += distance * distance;
  }
  const double rstd = 1 / std::sqrt(spread / static_cast<double>(n) + eps);
  if (stats != nullptr) stats[0] = static_cast<float>(mean), stats[1] = static_cast<float>(rstd);
  if (y == nullptr) return;
  const auto middle = static_cast<float>(mean), scale = static_cast<float>(rstd);
  if (gamma == nullptr) {
#pragma omp simd
    for (std::int64_t c = 0; c < n; ++c) y[c] = (x[c] - middle) * scale;
  } else {
#pragma omp simd
    for (std::int64_t c = 0; c < n; ++c) y[c] = (x[c] - middle) * scale * gamma[c] + beta[c];
  }
}

/// The derivative in x: with h = gamma g and xhat = (x - mean) rstd, dx = rstd (h - mean(h) - xhat mean(h xhat)).
inline void row_norm_gradient(const float* x, const float* stats, const float* g, const float* gamma, std::int64_t n,
                              float* dx) {
  const float mean = stats[0], rstd = stats[1];
  double total = 0, along = 0;  // of h, and of h (x - mean)
  const auto sum_up = [&](const auto& h) {
#pragma omp simd reduction(+ : total, along)
    for (std::int64_t c = 0; c < n; ++c) {
      const float value = h(c);
      total += static_cast<double>(value);
      along += static_cast<double>(value * (x[c] - mean));
    }
    const auto mean_h = static_cast<float>(total / static_cast<double>(n));
    const auto slope = static_cast<float>(along / static_cast<double>(n)) * rstd * rstd;
#pragma omp simd
    for (std::int64_t c = 0; c < n; ++c) dx[c] = rstd * (h(c) - mean_h - slope * (x[c] - mean));
  };
  if (gamma == nullptr)
    sum_up([g](std::int64_t c) { return g[c]; });
  else
    sum_up([g, gamma](std::int64_t c) { return g[c] * gamma[c]; });
}

}  // namespace deq::cpu
