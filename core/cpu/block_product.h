#pragma once

#include <cstdint>

#include "core/cpu/vector.h"

// Small matrix products with a packed right side, for kernels that keep everything in cache.

namespace deq::cpu {

/// c [kRows, kVectors*kWidth] = a [kRows, depth] b [depth, kVectors*kWidth]; rows of a are
/// `stride_a` floats apart, b and c are dense. Every element is one chain of multiply-adds in the order of depth,
/// whatever the blocks.
template <int kRows, int kVectors, int kWidth>
[[gnu::always_inline]] inline void multiply_panel(const float* a, std::int64_t stride_a, const float* b,
                                                  std::int64_t depth, float* c) {
  constexpr int kColumns = kVectors * kWidth;
  Vec<kWidth> sum[kRows][kVectors] = {};
  for (std::int64_t k = 0; k < depth; ++k) {
    Vec<kWidth> right[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) load<kWidth>(right[v], b + k * kColumns + v * kWidth);
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      const float left = a[r * stride_a + k];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[r][v] += left * right[v];
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) store<kWidth>(c + r * kColumns + v * kWidth, sum[r][v]);
}

}  // namespace deq::cpu
