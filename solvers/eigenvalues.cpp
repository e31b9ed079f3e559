#include "solvers/eigenvalues.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace deq {
namespace {

using Complex = std::complex<double>;

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr int kMostSweeps = 300;      // an eigenvalue takes 2 or 3
constexpr int kExceptionalEach = 10;  // sweeps after which a cycle is broken by another shift

struct Rotation {
  Complex c = 1;
  Complex s = 0;
};

/// The rotation that turns (x, y) into (r, 0).
Rotation rotation_of(Complex x, Complex y) {
  const double r = std::hypot(std::abs(x), std::abs(y));
  return r == 0 ? Rotation{} : Rotation{x / r, y / r};
}

class HessenbergQr {
 public:
  HessenbergQr(std::span<const double> h, int n) : n_(n), a_(h.size()), rotations_(static_cast<std::size_t>(n)) {
    for (int i = 0; i < n; ++i)
      for (int j = std::max(0, i - 1); j < n; ++j) {
        at(i, j) = h[static_cast<std::size_t>(i * n + j)];
        scale_ = std::max(scale_, std::abs(at(i, j)));
      }
  }

  std::vector<Complex> eigenvalues() {
    std::vector<Complex> out;
    int high = n_ - 1;
    int sweeps = 0;
    while (high >= 0) {
      const int low = block_start(high);
      if (low == high) {
        out.push_back(at(high, high));
        --high;
        sweeps = 0;
        continue;
      }
      if (++sweeps > kMostSweeps) return {};
      const bool is_exceptional = sweeps % kExceptionalEach == 0;
      sweep(low, high, is_exceptional ? at(high, high) + std::abs(at(high, high - 1)) : wilkinson_shift(high));
    }
    return out;
  }

 private:
  Complex& at(int i, int j) { return a_[static_cast<std::size_t>(i * n_ + j)]; }

  /// First row of the block that ends at `high` and has no negligible subdiagonal entry.
  int block_start(int high) {
    int low = high;
    while (low > 0) {
      const double neighbours = std::abs(at(low, low)) + std::abs(at(low - 1, low - 1));
      if (std::abs(at(low, low - 1)) <= kEpsilon * (neighbours > 0 ? neighbours : scale_)) break;
      --low;
    }
    return low;
  }

  /// The eigenvalue of the last 2x2 block that is closer to its last entry.
  Complex wilkinson_shift(int high) {
    const Complex a = at(high - 1, high - 1), d = at(high, high);
    const Complex half_trace = 0.5 * (a + d);
    const Complex root = std::sqrt(0.25 * (a - d) * (a - d) + at(high - 1, high) * at(high, high - 1));
    const Complex first = half_trace + root, second = half_trace - root;
    return std::abs(first - d) < std::abs(second - d) ? first : second;
  }

  /// A <- R Q + shift I with Q R = A - shift I, on rows and columns low ... high.
  void sweep(int low, int high, Complex shift) {
    for (int k = low; k <= high; ++k) at(k, k) -= shift;
    for (int k = low; k < high; ++k) {
      const Rotation g = rotations_[static_cast<std::size_t>(k)] = rotation_of(at(k, k), at(k + 1, k));
      for (int j = k; j <= high; ++j) {
        const Complex upper = at(k, j), lower = at(k + 1, j);
        at(k, j) = std::conj(g.c) * upper + std::conj(g.s) * lower;
        at(k + 1, j) = -g.s * upper + g.c * lower;
      }
    }
    for (int k = low; k < high; ++k) {
      const Rotation g = rotations_[static_cast<std::size_t>(k)];
      for (int i = low; i <= std::min(k + 1, high); ++i) {
        const Complex left = at(i, k), right = at(i, k + 1);
        at(i, k) = left * g.c + right * g.s;
        at(i, k + 1) = right * std::conj(g.c) - left * std::conj(g.s);
      }
    }
    for (int k = low; k <= high; ++k) at(k, k) += shift;
  }

  int n_;
  std::vector<Complex> a_;
  std::vector<Rotation> rotations_;
  double scale_ = 0;
};

}  // namespace

std::vector<Complex> hessenberg_eigenvalues(std::span<const double> h, int n) {
  check(n >= 0 && h.size() == static_cast<std::size_t>(n) * static_cast<std::size_t>(n), "eigenvalues", h.size(),
        " entries for a matrix of ", n, " rows");
  for (int i = 0; i < n; ++i)
    for (int j = std::max(0, i - 1); j < n; ++j)
      if (!std::isfinite(h[static_cast<std::size_t>(i * n + j)])) return {};
  return HessenbergQr(h, n).eigenvalues();
}

}  // namespace deq
