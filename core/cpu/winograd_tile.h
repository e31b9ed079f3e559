#pragma once

#include <array>
#include <cstdint>

#include "core/cpu/block_product.h"
#include "core/cpu/vector.h"
#include "core/cpu/winograd_transform.h"

// One tile, or one point of a block of tiles, of a Winograd convolution: the innermost loops of core/cpu/winograd.cpp.

namespace deq::cpu::winograd {

inline constexpr int kLanes = 8;  ///< channels that a transform handles at least
inline constexpr int kPanelRows = kRegisterFloats == 16 ? 8 : 4;
inline constexpr int kRowStep = 4;  ///< rows of products are a multiple of this
/// Columns of a block of products.
inline constexpr int kWide = kRegisterFloats == 16 ? 32 : 16, kNarrow = 24;
inline constexpr int kWidest = 32;

/// The nine weights of a block of output channels.
using Taps = std::array<std::array<float, kWidest>, 9>;

/// Transformed weights of kLanes output channels from `column` on; points are `stride` floats apart.
inline void transform_taps(const Taps& taps, std::int64_t column, float* to, std::int64_t stride) {
  Vec<kLanes> half[3][kPatch];
  for (std::size_t j = 0; j < 3; ++j) {
    Vec<kLanes> w[3];
    for (std::size_t i = 0; i < 3; ++i) load<kLanes>(w[i], taps[3 * i + j].data() + column);
    transform_weight(w, half[j]);
  }
  for (int i = 0; i < kPatch; ++i) {
    Vec<kLanes> points[kPatch];
    transform_weight({half[0][i], half[1][i], half[2][i]}, points);
    for (int j = 0; j < kPatch; ++j) store<kLanes>(to + (i * kPatch + j) * stride, points[j]);
  }
}

/// Transformed inputs of one tile for kWidth channels from `channel` on, or `count` < kWidth of them and zeros.
template <int kWidth, bool kIsPartial>
[[gnu::always_inline]] inline void transform_patch(const float* const* pixel, std::int64_t channel, std::int64_t count,
                                                   float* to, std::int64_t stride) {
  Vec<kWidth> values[kPatch][kPatch];  // [column][row]
  for (int j = 0; j < kPatch; ++j) {
#pragma GCC unroll 6
    for (int i = 0; i < kPatch; ++i) {
      const float* from = pixel[i * kPatch + j] + channel;
      if constexpr (kIsPartial)
        load_some<kWidth>(values[j][i], from, count);
      else
        load<kWidth>(values[j][i], from);
    }
    transform_input(values[j]);
  }
  for (int i = 0; i < kPatch; ++i) {
    Vec<kWidth> row[kPatch];
#pragma GCC unroll 6
    for (int j = 0; j < kPatch; ++j) row[j] = values[j][i];
    transform_input(row);
#pragma GCC unroll 6
    for (int j = 0; j < kPatch; ++j) store<kWidth>(to + (i * kPatch + j) * stride, row[j]);
  }
}

/// Products of all tiles at one point: c [rows, columns] = a [rows, depth] b [depth, columns].
template <int kVectors, int kWidth>
void multiply_point(const float* a, std::int64_t depth, std::int64_t rows, const float* b, float* c) {
  std::int64_t row = 0;
  for (; row + kPanelRows <= rows; row += kPanelRows)
    multiply_panel<kPanelRows, kVectors, kWidth>(a + row * depth, depth, b, depth, c + row * kVectors * kWidth);
  for (; row < rows; row += kRowStep)
    multiply_panel<kRowStep, kVectors, kWidth>(a + row * depth, depth, b, depth, c + row * kVectors * kWidth);
}

/// Floats between rows and between pixels.
struct Strides {
  std::int64_t row, pixel;
};

/// Pixels of a tile that lie inside the image.
struct Extent {
  std::int64_t rows, columns;
};

/// Results of one tile for kWidth channels, or `count` < kWidth of them.
template <int kWidth, bool kIsPartial>
[[gnu::always_inline]] inline void untransform_tile(const float* from, std::int64_t stride, float* to, Strides strides,
                                                    Extent inside, std::int64_t count) {
  Vec<kWidth> half[kTile][kPatch];
  for (int j = 0; j < kPatch; ++j) {
    Vec<kWidth> column[kPatch], reduced[kTile];
#pragma GCC unroll 6
    for (int i = 0; i < kPatch; ++i) load<kWidth>(column[i], from + (i * kPatch + j) * stride);
    transform_output(column, reduced);
#pragma GCC unroll 4
    for (int i = 0; i < kTile; ++i) half[i][j] = reduced[i];
  }
  for (int i = 0; i < inside.rows; ++i) {
    Vec<kWidth> y[kTile];
    transform_output(half[i], y);
    for (int j = 0; j < inside.columns; ++j) {
      float* at = to + i * strides.row + j * strides.pixel;
      if constexpr (kIsPartial)
        store_some<kWidth>(at, y[j], count);
      else
        store<kWidth>(at, y[j]);
    }
  }
}

}  // namespace deq::cpu::winograd
