#include "solvers/symmetric_eigen.h"

#include <cmath>
#include <cstddef>

namespace deq {
namespace {

constexpr int kMostSweeps = 50;  // ten suffice for double; the bound only ends a matrix of nan

struct Rotation {
  double cosine = 1.0;
  double sine = 0.0;
};

/// The rotation that makes element (p, q) zero.
Rotation annihilating(double pp, double pq, double qq) {
  const double theta = (qq - pp) / (2.0 * pq);
  const double tangent = (theta >= 0.0 ? 1.0 : -1.0) / (std::abs(theta) + std::sqrt(theta * theta + 1.0));
  const double cosine = 1.0 / std::sqrt(tangent * tangent + 1.0);
  return {cosine, tangent * cosine};
}

}  // namespace

void symmetric_eigen(int n, std::span<double> a, std::span<double> v) {
  const auto at = [n](int i, int j) { return static_cast<std::size_t>(i * n + j); };
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) v[at(i, j)] = i == j ? 1.0 : 0.0;
  for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
    double off = 0.0;
    double diagonal = 0.0;
    for (int i = 0; i < n; ++i) {
      diagonal += a[at(i, i)] * a[at(i, i)];
      for (int j = 0; j < i; ++j) off += a[at(i, j)] * a[at(i, j)];
    }
    if (!(off > 1e-30 * diagonal)) return;
    for (int p = 0; p < n; ++p)
      for (int q = p + 1; q < n; ++q) {
        if (a[at(p, q)] == 0.0) continue;
        const Rotation r = annihilating(a[at(p, p)], a[at(p, q)], a[at(q, q)]);
        const auto rotate = [&](std::span<double> m, std::size_t i, std::size_t j) {
          const double x = m[i], y = m[j];
          m[i] = r.cosine * x - r.sine * y;
          m[j] = r.sine * x + r.cosine * y;
        };
        for (int k = 0; k < n; ++k) rotate(a, at(k, p), at(k, q));
        for (int k = 0; k < n; ++k) rotate(a, at(p, k), at(q, k));
        for (int k = 0; k < n; ++k) rotate(v, at(k, p), at(k, q));
      }
  }
}

}  // namespace deq
