#include "solvers/bilevel/vector_bundle.h"

#include <vector>

#include "core/error.h"
#include "solvers/bilevel/vector_blocks.h"

namespace deq {
namespace {

constexpr std::int64_t kPiece = 1024;  // doubles; some of them fill half of a first cache of 32 KiB

template <class Scalar>
double piece_dot(const Scalar* a, const double* b, std::int64_t count) {
  double sum = 0.0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t k = 0; k < count; ++k) sum += static_cast<double>(a[k]) * b[k];
  return sum;
}

/// out += sum of four weighted vectors.
template <class Scalar>
void add_four(const Scalar* const* v, const double* weights, std::int64_t from, std::int64_t count, double* out) {
  const Scalar *const a = v[0] + from, *const b = v[1] + from, *const c = v[2] + from, *const d = v[3] + from;
#pragma omp simd
  for (std::int64_t k = 0; k < count; ++k)
    out[k] += (weights[0] * static_cast<double>(a[k]) + weights[1] * static_cast<double>(b[k])) +
              (weights[2] * static_cast<double>(c[k]) + weights[3] * static_cast<double>(d[k]));
}

template <class Scalar>
void add_one(const Scalar* v, double weight, std::int64_t count, double* out) {
#pragma omp simd
  for (std::int64_t k = 0; k < count; ++k) out[k] += weight * static_cast<double>(v[k]);
}

}  // namespace

template <class Scalar>
void bundle_dots(std::span<const Scalar* const> vectors, ConstVector x, std::span<const int> columns, Vector out) {
  const std::size_t width = 1 + columns.size();
  check(out.size() == vectors.size() * width, "bundle_dots", "out has ", out.size(), " entries for ", vectors.size(),
        " x ", width);
  const VectorBlocks blocks(x.size());
  std::vector<double> parts(static_cast<std::size_t>(blocks.count) * out.size());
  blocks.run([&](std::int64_t block, std::int64_t first, std::int64_t last) {
    double* const sums = parts.data() + block * static_cast<std::int64_t>(out.size());
    std::vector<double> pieces(columns.size() * kPiece);
    for (std::int64_t from = first; from < last; from += kPiece) {
      const std::int64_t count = std::min(kPiece, last - from);
      for (std::size_t c = 0; c < columns.size(); ++c)
        std::copy_n(vectors[columns[c]] + from, count, pieces.data() + c * kPiece);
      double* sum = sums;
      for (const Scalar* vector : vectors) {
        *sum++ += piece_dot(vector + from, x.data() + from, count);
        for (std::size_t c = 0; c < columns.size(); ++c)
          *sum++ += piece_dot(vector + from, pieces.data() + c * kPiece, count);
      }
    }
  });
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = 0.0;
    for (std::int64_t b = 0; b < blocks.count; ++b) out[i] += parts[static_cast<std::size_t>(b) * out.size() + i];
  }
}

template <class Scalar>
void bundle_combine(std::span<const Scalar* const> vectors, ConstVector weights, double gain, ConstVector x,
                    Vector out) {
  check(weights.size() == vectors.size() && out.size() == x.size(), "bundle_combine", weights.size(), " weights for ",
        vectors.size(), " vectors, and ", out.size(), " for ", x.size(), " entries");
  VectorBlocks(x.size()).run([&](std::int64_t, std::int64_t first, std::int64_t last) {
    for (std::int64_t from = first; from < last; from += kPiece) {
      const std::int64_t count = std::min(kPiece, last - from);
      double* const piece = out.data() + from;
      for (std::int64_t k = 0; k < count; ++k) piece[k] = gain * x[from + k];
      std::size_t i = 0;
      for (; i + 4 <= vectors.size(); i += 4) add_four(vectors.data() + i, weights.data() + i, from, count, piece);
      for (; i < vectors.size(); ++i) add_one(vectors[i] + from, weights[i], count, piece);
    }
  });
}

template <class Scalar>
PairSums store_pair(ConstVector s, ConstVector y, Scalar* stored_s, Scalar* stored_y) {
  const VectorBlocks blocks(s.size());
  std::array<PairSums, VectorBlocks::kMost> parts{};
  blocks.run([&](std::int64_t block, std::int64_t first, std::int64_t last) {
    double along = 0.0, step = 0.0, change = 0.0;
#pragma omp simd reduction(+ : along, step, change)
    for (std::int64_t k = first; k < last; ++k) {
      stored_s[k] = static_cast<Scalar>(s[k]);
      stored_y[k] = static_cast<Scalar>(y[k]);
      const double a = static_cast<double>(stored_s[k]), b = static_cast<double>(stored_y[k]);
      along += a * b;
      step += a * a;
      change += b * b;
    }
    parts[block] = {along, step, change};
  });
  PairSums out;
  for (std::int64_t b = 0; b < blocks.count; ++b) {
    out.curvature += parts[b].curvature;
    out.step_squared += parts[b].step_squared;
    out.change_squared += parts[b].change_squared;
  }
  return out;
}

template void bundle_dots(std::span<const double* const>, ConstVector, std::span<const int>, Vector);
template void bundle_dots(std::span<const float* const>, ConstVector, std::span<const int>, Vector);
template void bundle_combine(std::span<const double* const>, ConstVector, double, ConstVector, Vector);
template void bundle_combine(std::span<const float* const>, ConstVector, double, ConstVector, Vector);
template PairSums store_pair(ConstVector, ConstVector, double*, double*);
template PairSums store_pair(ConstVector, ConstVector, float*, float*);

}  // namespace deq
