#pragma once

#include <array>
#include <cstdint>

#include "core/cpu/block_product.h"
#include "core/cpu/vector.h"
#include "core/cpu/winograd_transform.h"

// One tile, or one point of a block of tiles, of a Winograd convolution: the innermost loops of core/cpu/winograd.cpp.

namespace deq::cpu::winograd {

inline constexpr int kLanes = 8;    ///< channels that a transform handles at least
inline constexpr int kRowStep = 4;  ///< rows of products are a multiple of this
inline constexpr int kWidest = 32;  ///< block of columns

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

/// Asks for what the tile to the right reads beyond this one, whose pixels are [side][side]: the hardware does not see
/// the pattern by itself.
inline void prefetch_right(const float* const* pixel, std::int64_t side, std::int64_t channels) {
  for (std::int64_t i = 0; i < side; ++i)
    for (std::int64_t j = 1; j <= kTile; ++j)
      for (std::int64_t c = 0; c < channels; c += 16) __builtin_prefetch(pixel[(i + 1) * side - 1] + j * channels + c);
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

/// A g A^T of one tile for kWidth channels from `channel` on, or `count` < kWidth of them and zeros.
template <int kWidth, bool kIsPartial>
[[gnu::always_inline]] inline void transform_result(const float* const* pixel, std::int64_t channel, std::int64_t count,
                                                    float* to, std::int64_t stride) {
  Vec<kWidth> half[kTile][kPatch];  // [column][row]
  for (int j = 0; j < kTile; ++j) {
    Vec<kWidth> column[kTile];
#pragma GCC unroll 4
    for (int i = 0; i < kTile; ++i) {
      const float* from = pixel[i * kTile + j] + channel;
      if constexpr (kIsPartial)
        load_some<kWidth>(column[i], from, count);
      else
        load<kWidth>(column[i], from);
    }
    transform_result_gradient(column, half[j]);
  }
  for (int i = 0; i < kPatch; ++i) {
    Vec<kWidth> points[kPatch];
    transform_result_gradient({half[0][i], half[1][i], half[2][i], half[3][i]}, points);
#pragma GCC unroll 6
    for (int j = 0; j < kPatch; ++j) store<kWidth>(to + (i * kPatch + j) * stride, points[j]);
  }
}

/// taps = G^T u G for kLanes output channels; points of u are `stride` floats apart.
inline void gather_taps(const float* from, std::int64_t stride, float (&taps)[9][kLanes]) {
  Vec<kLanes> half[kPatch][3];
  for (int j = 0; j < kPatch; ++j) {
    Vec<kLanes> column[kPatch];
#pragma GCC unroll 6
    for (int i = 0; i < kPatch; ++i) load<kLanes>(column[i], from + (i * kPatch + j) * stride);
    transform_weight_gradient(column, half[j]);
  }
  for (int i = 0; i < 3; ++i) {
    Vec<kLanes> w[3];
    transform_weight_gradient({half[0][i], half[1][i], half[2][i], half[3][i], half[4][i], half[5][i]}, w);
    for (int j = 0; j < 3; ++j) store<kLanes>(taps[3 * i + j], w[j]);
  }
}

}  // namespace deq::cpu::winograd
