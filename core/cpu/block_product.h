#pragma once

#include <cstdint>

#include "core/cpu/vector.h"

// Small matrix products with a packed right side, for kernels that keep everything in cache.

namespace deq::cpu {

inline constexpr int kPanelRows = kRegisterFloats == 16 ? 8 : 4;
/// Columns of a block of the right side: what fills registers, or what wastes fewer.
inline constexpr int kWideColumns = kRegisterFloats == 16 ? 32 : 16, kNarrowColumns = 24;

/// Width of the blocks of columns that pads `columns` the least.
constexpr std::int64_t columns_of_block(std::int64_t columns) {
  const auto padded = [columns](std::int64_t width) { return (columns + width - 1) / width * width; };
  return padded(kNarrowColumns) < padded(kWideColumns) ? kNarrowColumns : kWideColumns;
}

/// Floats from one row to the next.
struct RowStrides {
  std::int64_t a, c;
};

/// c [kRows, kVectors*kWidth] = a [kRows, depth] b [depth, kVectors*kWidth], b dense. Every element is one chain of
/// multiply-adds in the order of depth, whatever the block.
template <int kRows, int kVectors, int kWidth>
[[gnu::always_inline]] inline void multiply_panel(const float* a, const float* b, std::int64_t depth, float* c,
                                                  RowStrides strides) {
  constexpr int kColumns = kVectors * kWidth;
  Vec<kWidth> sum[kRows][kVectors] = {};
  for (std::int64_t k = 0; k < depth; ++k) {
    Vec<kWidth> right[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) load<kWidth>(right[v], b + k * kColumns + v * kWidth);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const float left = a[r * strides.a + k];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[r][v] += left * right[v];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) store<kWidth>(c + r * strides.c + v * kWidth, sum[r][v]);
}

/// The same for any number of rows.
template <int kVectors, int kWidth>
void multiply_rows(std::int64_t rows, const float* a, const float* b, std::int64_t depth, float* c,
                   RowStrides strides) {
  std::int64_t row = 0;
  for (; row + kPanelRows <= rows; row += kPanelRows)
    multiply_panel<kPanelRows, kVectors, kWidth>(a + row * strides.a, b, depth, c + row * strides.c, strides);
  for (; row + 4 <= rows; row += 4)
    multiply_panel<4, kVectors, kWidth>(a + row * strides.a, b, depth, c + row * strides.c, strides);
  for (; row < rows; ++row)
    multiply_panel<1, kVectors, kWidth>(a + row * strides.a, b, depth, c + row * strides.c, strides);
}

/// c [rows, columns] = a [rows, depth] b [depth, columns] for a block of `columns` as columns_of_block gives it.
inline void multiply_block(std::int64_t columns, std::int64_t rows, const float* a, const float* b, std::int64_t depth,
                           float* c, RowStrides strides) {
  if (columns == kNarrowColumns)
    multiply_rows<3, kNarrowColumns / 3>(rows, a, b, depth, c, strides);
  else
    multiply_rows<2, kWideColumns / 2>(rows, a, b, depth, c, strides);
}

/// Floats from one row to the next of a [depth, kPanelRows], b [depth, columns] and c.
struct TransposedStrides {
  std::int64_t a, b, c;
};

/// c [kPanelRows, columns] = a^T b, added to c if kAdds.
template <int kVectors, int kWidth, bool kAdds>
void multiply_transposed_panel(std::int64_t depth, const float* a, const float* b, float* c,
                               TransposedStrides strides) {
  Vec<kWidth> sum[kPanelRows][kVectors] = {};
  if constexpr (kAdds)
#pragma GCC unroll 8
    for (int r = 0; r < kPanelRows; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) load<kWidth>(sum[r][v], c + r * strides.c + v * kWidth);
  for (std::int64_t k = 0; k < depth; ++k) {
    Vec<kWidth> right[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) load<kWidth>(right[v], b + k * strides.b + v * kWidth);
#pragma GCC unroll 8
    for (int r = 0; r < kPanelRows; ++r) {
      const float left = a[k * strides.a + r];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[r][v] += left * right[v];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kPanelRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) store<kWidth>(c + r * strides.c + v * kWidth, sum[r][v]);
}

/// The same for a block of `columns` as columns_of_block gives it.
inline void multiply_transposed(std::int64_t columns, std::int64_t depth, const float* a, const float* b, float* c,
                                TransposedStrides strides, bool adds) {
  constexpr int kNarrow = kNarrowColumns / 3, kWide = kWideColumns / 2;
  if (columns == kNarrowColumns)
    adds ? multiply_transposed_panel<3, kNarrow, true>(depth, a, b, c, strides)
         : multiply_transposed_panel<3, kNarrow, false>(depth, a, b, c, strides);
  else
    adds ? multiply_transposed_panel<2, kWide, true>(depth, a, b, c, strides)
         : multiply_transposed_panel<2, kWide, false>(depth, a, b, c, strides);
}

}  // namespace deq::cpu
