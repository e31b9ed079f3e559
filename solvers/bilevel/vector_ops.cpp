#include "solvers/bilevel/vector_ops.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "solvers/bilevel/vector_blocks.h"

namespace deq {
namespace {

/// body(first, last) for each block.
template <class Body>
void for_blocks(std::size_t length, const Body& body) {
  VectorBlocks(length).run([&](std::int64_t, std::int64_t first, std::int64_t last) { body(first, last); });
}

/// The sum of body(first, last) over the blocks, added in order.
template <class Body>
double sum_blocks(std::size_t length, const Body& body) {
  return VectorBlocks(length).sum(body);
}

}  // namespace

double dot(ConstVector x, ConstVector y) {
  return sum_blocks(x.size(), [x = x.data(), y = y.data()](std::int64_t first, std::int64_t last) {
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = first; i < last; ++i) sum += x[i] * y[i];
    return sum;
  });
}

double norm(ConstVector x) { return std::sqrt(dot(x, x)); }

void add_scaled(double a, ConstVector x, Vector y) {
  for_blocks(x.size(), [a, x = x.data(), y = y.data()](std::int64_t first, std::int64_t last) {
#pragma omp simd
    for (std::int64_t i = first; i < last; ++i) y[i] += a * x[i];
  });
}

double add_scaled_dot(double a, ConstVector x, Vector y, ConstVector z) {
  return sum_blocks(x.size(), [a, x = x.data(), y = y.data(), z = z.data()](std::int64_t first, std::int64_t last) {
    // Two loops a piece that stays in the first cache: z may be y.
    constexpr std::int64_t kPiece = 1024;
    double sum = 0.0;
    for (std::int64_t from = first; from < last; from += kPiece) {
      const std::int64_t to = std::min(last, from + kPiece);
#pragma omp simd
      for (std::int64_t i = from; i < to; ++i) y[i] += a * x[i];
#pragma omp simd reduction(+ : sum)
      for (std::int64_t i = from; i < to; ++i) sum += z[i] * y[i];
    }
    return sum;
  });
}

void add_scaled_turn(double a, Vector x, Vector y, ConstVector z, double b) {
  for_blocks(x.size(), [a, x = x.data(), y = y.data(), z = z.data(), b](std::int64_t first, std::int64_t last) {
#pragma omp simd
    for (std::int64_t i = first; i < last; ++i) {
      y[i] += a * x[i];
      x[i] = z[i] + b * x[i];
    }
  });
}

void combine(ConstVector x, double a, ConstVector y, Vector out) {
  for_blocks(x.size(), [x = x.data(), a, y = y.data(), out = out.data()](std::int64_t first, std::int64_t last) {
#pragma omp simd
    for (std::int64_t i = first; i < last; ++i) out[i] = x[i] + a * y[i];
  });
}

void scale(double a, Vector x) {
  for_blocks(x.size(), [a, x = x.data()](std::int64_t first, std::int64_t last) {
#pragma omp simd
    for (std::int64_t i = first; i < last; ++i) x[i] *= a;
  });
}

void copy(ConstVector from, Vector to) {
  for_blocks(from.size(), [from = from.data(), to = to.data()](std::int64_t first, std::int64_t last) {
    std::copy(from + first, from + last, to + first);
  });
}

bool is_same(ConstVector x, ConstVector y) {
  return sum_blocks(x.size(), [x, y](std::int64_t first, std::int64_t last) {
           const auto bytes = static_cast<std::size_t>(last - first) * sizeof(double);
           return std::memcmp(x.data() + first, y.data() + first, bytes) == 0 ? 0.0 : 1.0;
         }) == 0.0;
}

double relative_error(ConstVector x, ConstVector y) {
  const double difference = std::sqrt(sum_blocks(x.size(), [x, y](std::int64_t first, std::int64_t last) {
    double sum = 0.0;
    for (std::int64_t i = first; i < last; ++i) sum += (x[i] - y[i]) * (x[i] - y[i]);
    return sum;
  }));
  const double reference = norm(y);
  return reference > 0.0 ? difference / reference : difference;
}

double cosine(ConstVector x, ConstVector y) {
  const double scale = norm(x) * norm(y);
  return scale > 0.0 ? dot(x, y) / scale : 0.0;
}

}  // namespace deq
