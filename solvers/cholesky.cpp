#include "solvers/cholesky.h"

#include <cmath>

namespace deq {
namespace {

constexpr double kSmallestPivot = 1e-14;  // relative to the diagonal entry; 1e2 roundings above double's epsilon

bool factorise(std::span<double> a, std::size_t n) {
  for (std::size_t j = 0; j < n; ++j) {
    const double diagonal = a[j * n + j];
    double pivot = diagonal;
    for (std::size_t k = 0; k < j; ++k) pivot -= a[j * n + k] * a[j * n + k];
    if (!(pivot > kSmallestPivot * diagonal) || !std::isfinite(pivot)) return false;
    const double root = std::sqrt(pivot);
    a[j * n + j] = root;
    for (std::size_t i = j + 1; i < n; ++i) {
      double sum = a[i * n + j];
      for (std::size_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = sum / root;
    }
  }
  return true;
}

}  // namespace

bool solve_cholesky(std::span<double> a, std::span<double> b) {
  const std::size_t n = b.size();
  if (!factorise(a, n)) return false;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
  return true;
}

}  // namespace deq
