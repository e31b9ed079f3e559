#include "core/cpu/state_kernels.h"

#include <algorithm>
#include <cstring>

#include "core/cpu/lanes.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace deq {
namespace {

using lanes::kLanes;
using lanes::load;
using lanes::store;
using lanes::Total;
using lanes::Vector;

constexpr std::int64_t kStreamed = 16;  // bytes of one store past the caches
constexpr int kChains = 4;              // independent sums, so that additions do not wait for one another
constexpr int kChain = 4;               // vectors each of them takes before its sum moves to double
/// How far ahead of its reading a stored step is asked for, in bytes: while y hits the second-level cache the processor
/// fetches it late by itself. Links are 1.03 (float) to 1.1 times (bf16) as fast on an Emerald Rapids Xeon; 1 KiB and 8
/// KiB gain less.
constexpr std::int64_t kAhead = 4096;
template <class T>
constexpr std::int64_t kBlock = kChains* kChain* kLanes<T>;

template <class T>
double wide(T x) {
  return static_cast<double>(x);
}
inline double wide(Bfloat16 x) { return static_cast<double>(widen(x)); }
template <class T>
T in_type(T x, T) {
  return x;
}
template <class T>
T in_type(Bfloat16 x, T) {
  return static_cast<T>(widen(x));
}

/// Two sums over the same elements.
struct Sums {
  double first = 0.0;
  double second = 0.0;
};

/// Sums visit(i) (products of one vector at i, added to two parts) over whole blocks below n; `i` is left where the
/// rest begins.
template <class T, class Visit>
[[gnu::always_inline]] inline Sums sum_blocks_twice(std::int64_t n, std::int64_t& i, const Visit& visit) {
  Total<T> first, second;
  for (; i + kBlock<T> <= n; i += kBlock<T>) {
    Vector<T> a[kChains] = {}, b[kChains] = {};
#pragma GCC unroll 4
    for (int link = 0; link < kChain; ++link)
#pragma GCC unroll 4
      for (int chain = 0; chain < kChains; ++chain) visit(i + (link * kChains + chain) * kLanes<T>, a[chain], b[chain]);
    first.add((a[0] + a[1]) + (a[2] + a[3]));
    for (const Vector<T>& part : b) second.add(part);  // a large sum beside a small one: four products a lane at most
  }
  return {first.sum(), second.sum()};
}

/// As above with one sum.
template <class T, class Visit>
[[gnu::always_inline]] inline double sum_blocks(std::int64_t n, std::int64_t& i, const Visit& visit) {
  return sum_blocks_twice<T>(n, i, [&](std::int64_t at, Vector<T>& part, Vector<T>&) { visit(at, part); }).first;
}

template <class S, class T>
[[gnu::always_inline]] inline double dot_of(const S* x, const T* y, std::int64_t n) {
  std::int64_t i = 0;
  double sum = sum_blocks<T>(n, i, [&](std::int64_t at, Vector<T>& part) {
    Vector<T> a, b;
    load(x + at, a);
    load(y + at, b);
    part += a * b;
  });
  for (; i < n; ++i) sum += wide(x[i]) * wide(y[i]);
  return sum;
}

template <class S, class T>
[[gnu::always_inline]] inline double add_scaled_dot_of(T a, const S* x, T* y, std::int64_t n) {
  std::int64_t i = 0;
  double sum = sum_blocks<T>(n, i, [&](std::int64_t at, Vector<T>& part) {
    Vector<T> step, value;
    __builtin_prefetch(reinterpret_cast<const char*>(x + at) + kAhead, 0, 2);
    load(x + at, step);
    load(y + at, value);
    value += a * step;
    store(value, y + at);
    part += step * value;
  });
  for (; i < n; ++i) {
    const T step = in_type(x[i], T{});
    y[i] += a * step;
    sum += wide(step) * wide(y[i]);
  }
  return sum;
}

template <class S, class T>
[[gnu::always_inline]] inline void scale_add_of(T b, T* y, T a, const S* x, std::int64_t n) {
  if (b == T{0}) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = a * in_type(x[i], T{});
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = b * y[i] + a * in_type(x[i], T{});
  }
}

template <class T>
[[gnu::always_inline]] inline ResidualSums subtract_of(const T* f, const T* z, T* r, std::int64_t n) {
  std::int64_t i = 0;
  auto [residual, value_sum] =
      sum_blocks_twice<T>(n, i, [&](std::int64_t at, Vector<T>& residual_part, Vector<T>& value_part) {
        Vector<T> after, before;
        load(f + at, after);
        load(z + at, before);
        before = after - before;
        if (r != nullptr) store(before, r + at);
        residual_part += before * before;
        value_part += after * after;
      });
  for (; i < n; ++i) {
    const T difference = f[i] - z[i];
    if (r != nullptr) r[i] = difference;
    residual += wide(difference) * wide(difference);
    value_sum += wide(f[i]) * wide(f[i]);
  }
  return {residual, value_sum};
}

template <class T>
[[gnu::always_inline]] inline double scale_and_advance_of(T a, T* p, T* z, std::int64_t n) {
  std::int64_t i = 0;
  double sum = sum_blocks<T>(n, i, [&](std::int64_t at, Vector<T>& part) {
    Vector<T> step, value;
    load(p + at, step);
    step *= a;
    store(step, p + at);
    if (z != nullptr) {
      load(z + at, value);
      value += step;
      store(value, z + at);
    }
    part += step * step;
  });
  for (; i < n; ++i) {
    p[i] *= a;
    if (z != nullptr) z[i] += p[i];
    sum += wide(p[i]) * wide(p[i]);
  }
  return sum;
}

/// A block at a time, so that the three visits find it in the first-level cache.
template <class T>
[[gnu::always_inline]] inline double scale_round_advance_of(T a, const T* p, Bfloat16* stored, T* z, std::int64_t n) {
  double sum = 0.0;
  for (std::int64_t start = 0; start < n; start += kBlock<T>) {
    const std::int64_t end = start + kBlock<T> < n ? start + kBlock<T> : n;
#pragma omp simd
    for (std::int64_t i = start; i < end; ++i) stored[i] = round_to_bfloat16(static_cast<float>(a * p[i]));
    if (z != nullptr) {
#pragma omp simd
      for (std::int64_t i = start; i < end; ++i) z[i] += a * p[i];
    }
    std::int64_t i = start;
    sum += sum_blocks<T>(end, i, [&](std::int64_t at, Vector<T>& part) {
      Vector<T> step;
      load(stored + at, step);
      part += step * step;
    });
    for (; i < end; ++i) sum += wide(stored[i]) * wide(stored[i]);
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
[[gnu::target_clones("avx512f", "avx2,fma", "default")]] double dot(const Bfloat16* x, const float* y, std::int64_t n) {
  return dot_of(x, y, n);
}
[[gnu::target_clones("avx512f", "avx2,fma", "default")]] double dot(const Bfloat16* x, const double* y,
                                                                    std::int64_t n) {
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
[[gnu::target_clones("avx512f", "avx2,fma", "default")]] double add_scaled_dot(double a, const Bfloat16* x, float* y,
                                                                               std::int64_t n) {
  return add_scaled_dot_of(static_cast<float>(a), x, y, n);
}
[[gnu::target_clones("avx512f", "avx2,fma", "default")]] double add_scaled_dot(double a, const Bfloat16* x, double* y,
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
[[gnu::target_clones("avx512f", "avx2,fma", "default")]] void scale_add(double b, float* y, double a, const Bfloat16* x,
                                                                        std::int64_t n) {
  scale_add_of(static_cast<float>(b), y, static_cast<float>(a), x, n);
}
[[gnu::target_clones("avx512f", "avx2,fma", "default")]] void scale_add(double b, double* y, double a,
                                                                        const Bfloat16* x, std::int64_t n) {
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
[[gnu::target_clones("avx512f", "avx2,fma", "default")]] double scale_round_advance(double a, const float* p,
                                                                                    Bfloat16* stored, float* z,
                                                                                    std::int64_t n) {
  return scale_round_advance_of(static_cast<float>(a), p, stored, z, n);
}
[[gnu::target_clones("avx512f", "avx2,fma", "default")]] double scale_round_advance(double a, const double* p,
                                                                                    Bfloat16* stored, double* z,
                                                                                    std::int64_t n) {
  return scale_round_advance_of(a, p, stored, z, n);
}

void stream_copy(const void* from, void* to, std::int64_t bytes) {
#ifdef __SSE2__
  const auto* source = static_cast<const char*>(from);
  auto* target = static_cast<char*>(to);
  const auto head = std::min(bytes, static_cast<std::int64_t>(-reinterpret_cast<std::uintptr_t>(target) % kStreamed));
  const std::int64_t whole = head + (bytes - head) / kStreamed * kStreamed;
  std::memcpy(target, source, static_cast<std::size_t>(head));
  for (std::int64_t at = head; at < whole; at += kStreamed)
    _mm_stream_si128(reinterpret_cast<__m128i*>(target + at),
                     _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + at)));
  std::memcpy(target + whole, source + whole, static_cast<std::size_t>(bytes - whole));
  _mm_sfence();
#else
  std::memcpy(to, from, static_cast<std::size_t>(bytes));
#endif
}

}  // namespace deq
