#include "solvers/pivoted_lu.h"

#include <algorithm>
#include <cmath>

namespace deq {
namespace {

constexpr double kSmallestPivot = 1e-14;  // relative to the largest entry; 1e2 roundings above double's epsilon

}  // namespace

bool solve_pivoted(std::span<double> a, std::span<double> b) {
  const std::size_t n = b.size();
  double largest = 0.0;
  for (const double value : a) {
    if (!std::isfinite(value)) return false;
    largest = std::max(largest, std::abs(value));
  }
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k + 1; i < n; ++i)
      if (std::abs(a[i * n + k]) > std::abs(a[pivot * n + k])) pivot = i;
    if (!(std::abs(a[pivot * n + k]) > kSmallestPivot * largest)) return false;
    if (pivot != k) {
      std::swap_ranges(a.data() + k * n, a.data() + (k + 1) * n, a.data() + pivot * n);
      std::swap(b[k], b[pivot]);
    }
    for (std::size_t i = k + 1; i < n; ++i) {
      const double factor = a[i * n + k] / a[k * n + k];
      for (std::size_t j = k; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
      b[i] -= factor * b[k];
    }
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
    if (!std::isfinite(b[i])) return false;
  }
  return true;
}

}  // namespace deq
