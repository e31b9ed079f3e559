#pragma once

#include <cstdint>

#include "core/cpu/bfloat16.h"

namespace deq::cpu {

/// Rows of a sample [H,W,C] in bf16 with `pad` zero pixels around it, as the tiles of core/cpu/amx_conv.h read them.
/// Rows count from -pad to H + pad; memory may hold some of them.
struct PaddedImage {
  std::int64_t height = 0, width = 0, channels = 0, pad = 0;
  std::int64_t pitch = 0;  ///< elements from one pixel to the next; zeros from `channels` on

  [[nodiscard]] std::int64_t row_elements() const { return (width + 2 * pad) * pitch; }
  /// Of memory for `rows` rows: a tile may read beyond the last pixel, times zero.
  [[nodiscard]] std::int64_t elements(std::int64_t rows) const { return rows * row_elements() + kSlack; }
  /// Rounds rows [first, first + rows) of `image` f32[H,W,C] to `to`, which begins with row `first`.
  void round(const float* image, std::int64_t first, std::int64_t rows, Bfloat16* to) const;
  /// Zeros around the sample in `to`, which begins with row -pad and holds all rows.
  void clear_border(Bfloat16* to) const;

 private:
  static constexpr std::int64_t kSlack = 32;
};

}  // namespace deq::cpu
