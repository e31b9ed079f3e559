#pragma once

#include <algorithm>
#include <cstdint>

#include "core/cpu/vector.h"

// Small matrix products with a packed right side, for kernels that keep everything in cache.

namespace deq::cpu {

inline constexpr int kPanelRows = kRegisterFloats == 16 ? 8 : 4;
/// Columns of a panel come in steps of this.
inline constexpr int kColumnStep = 8;

/// Columns of a right side, cut into blocks that fill registers: all of width(0) but the last, which is as wide as the
/// columns that are left, rounded up to kColumnStep. With registers of 16 floats a last half register costs as much as
/// a whole one where multiply-adds of 16 run at the rate of those of 8 (Intel), and half as much where they run at half
/// of it (Zen 4): so whole registers come first.
class ColumnBlocks {
 public:
  explicit ColumnBlocks(std::int64_t columns)
      : padded_((columns + kColumnStep - 1) / kColumnStep * kColumnStep), widest_(widest_of(columns)) {}

  [[nodiscard]] std::int64_t count() const { return (padded_ + widest_ - 1) / widest_; }
  /// Columns of all blocks.
  [[nodiscard]] std::int64_t padded() const { return padded_; }
  [[nodiscard]] std::int64_t widest() const { return std::min(widest_, padded_); }
  [[nodiscard]] std::int64_t first(std::int64_t block) const { return block * widest_; }
  [[nodiscard]] std::int64_t width(std::int64_t block) const { return std::min(widest_, padded_ - first(block)); }

 private:
  /// Registers of 16 floats: 32. Of 8: 24 or 16, whichever leaves fewer columns to the last block.
  static std::int64_t widest_of(std::int64_t columns) {
    if (kRegisterFloats == 16) return 32;
    const auto rounded = [columns](std::int64_t width) { return (columns + width - 1) / width * width; };
    return rounded(24) < rounded(16) ? 24 : 16;
  }

  std::int64_t padded_, widest_;
};

/// Floats from one row to the next.
struct RowStrides {
  std::int64_t a, c;
};

/// kRows rows of kColumns sums in registers: whole ones, then one of kColumnStep floats if that is left.
template <int kRows, int kColumns>
class PanelSums {
 public:
  /// sums += left(row) * b, b [kColumns].
  template <class Left>
  [[gnu::always_inline]] void add_product(const Left& left, const float* b) {
    Vec<kWidth> whole[kVectors];
    Vec<kColumnStep> rest = {};
#pragma GCC unroll 4
    for (int v = 0; v < kWhole; ++v) load_once<kWidth>(whole[v], b + v * kWidth);
    if constexpr (kHasRest) load_once<kColumnStep>(rest, b + kWhole * kWidth);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const float factor = left(r);
#pragma GCC unroll 4
      for (int v = 0; v < kWhole; ++v) whole_[r][v] += factor * whole[v];
      if constexpr (kHasRest) rest_[r] += factor * rest;
    }
  }
  [[gnu::always_inline]] void load_from(const float* c, std::int64_t stride) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kWhole; ++v) load<kWidth>(whole_[r][v], c + r * stride + v * kWidth);
      if constexpr (kHasRest) load<kColumnStep>(rest_[r], c + r * stride + kWhole * kWidth);
    }
  }
  [[gnu::always_inline]] void store_to(float* c, std::int64_t stride) const {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kWhole; ++v) store<kWidth>(c + r * stride + v * kWidth, whole_[r][v]);
      if constexpr (kHasRest) store<kColumnStep>(c + r * stride + kWhole * kWidth, rest_[r]);
    }
  }

 private:
  static constexpr int kWidth = std::max(kRegisterFloats, kColumnStep), kWhole = kColumns / kWidth;
  static constexpr bool kHasRest = kColumns % kWidth != 0;
  static constexpr int kVectors = std::max(kWhole, 1);

  Vec<kWidth> whole_[kRows][kVectors] = {};
  Vec<kColumnStep> rest_[kRows] = {};
};

/// c [kRows, kColumns] = a [kRows, depth] b [depth, kColumns], b dense. Every element is one chain of multiply-adds in
/// the order of depth, whatever the block.
template <int kRows, int kColumns>
[[gnu::always_inline]] inline void multiply_panel(const float* a, const float* b, std::int64_t depth, float* c,
                                                  RowStrides strides) {
  PanelSums<kRows, kColumns> sums;
  for (std::int64_t k = 0; k < depth; ++k)
    sums.add_product([&](int row) { return a[row * strides.a + k]; }, b + k * kColumns);
  sums.store_to(c, strides.c);
}

/// The same for any number of rows.
template <int kColumns>
void multiply_rows(std::int64_t rows, const float* a, const float* b, std::int64_t depth, float* c,
                   RowStrides strides) {
  std::int64_t row = 0;
  for (; row + kPanelRows <= rows; row += kPanelRows)
    multiply_panel<kPanelRows, kColumns>(a + row * strides.a, b, depth, c + row * strides.c, strides);
  for (; row + 4 <= rows; row += 4)
    multiply_panel<4, kColumns>(a + row * strides.a, b, depth, c + row * strides.c, strides);
  for (; row < rows; ++row) multiply_panel<1, kColumns>(a + row * strides.a, b, depth, c + row * strides.c, strides);
}

/// c [rows, columns] = a [rows, depth] b [depth, columns] for a block of `columns` as ColumnBlocks gives it.
inline void multiply_block(std::int64_t columns, std::int64_t rows, const float* a, const float* b, std::int64_t depth,
                           float* c, RowStrides strides) {
  switch (columns) {
    case 8: return multiply_rows<8>(rows, a, b, depth, c, strides);
    case 16: return multiply_rows<16>(rows, a, b, depth, c, strides);
    case 24: return multiply_rows<24>(rows, a, b, depth, c, strides);
    default: return multiply_rows<32>(rows, a, b, depth, c, strides);
  }
}

/// Floats from one row to the next of a [depth, kPanelRows], b [depth, columns] and c.
struct TransposedStrides {
  std::int64_t a, b, c;
};

/// c [kPanelRows, kColumns] = a^T b, added to c if `adds`.
template <int kColumns>
void multiply_transposed_panel(std::int64_t depth, const float* a, const float* b, float* c, TransposedStrides strides,
                               bool adds) {
  PanelSums<kPanelRows, kColumns> sums;
  if (adds) sums.load_from(c, strides.c);
  for (std::int64_t k = 0; k < depth; ++k)
    sums.add_product([&](int row) { return a[k * strides.a + row]; }, b + k * strides.b);
  sums.store_to(c, strides.c);
}

/// The same for a block of `columns` as ColumnBlocks gives it.
inline void multiply_transposed(std::int64_t columns, std::int64_t depth, const float* a, const float* b, float* c,
                                TransposedStrides strides, bool adds) {
  switch (columns) {
    case 8: return multiply_transposed_panel<8>(depth, a, b, c, strides, adds);
    case 16: return multiply_transposed_panel<16>(depth, a, b, c, strides, adds);
    case 24: return multiply_transposed_panel<24>(depth, a, b, c, strides, adds);
    default: return multiply_transposed_panel<32>(depth, a, b, c, strides, adds);
  }
}

}  // namespace deq::cpu
