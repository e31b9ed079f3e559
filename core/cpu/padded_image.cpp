#include "core/cpu/padded_image.h"

#include <algorithm>

#include "core/cpu/bfloat16_rows.h"

namespace deq::cpu {

void PaddedImage::round(const float* image, std::int64_t first, std::int64_t rows, Bfloat16* to) const {
  for (std::int64_t y = first; y < first + rows; ++y) {
    if (y < 0 || y >= height) {
      to = std::fill_n(to, row_elements(), Bfloat16{});
      continue;
    }
    const float* from = image + y * width * channels;
    to = std::fill_n(to, pad * pitch, Bfloat16{});
    if (pitch == channels)
      round_rows(from, 1, width * channels, to, width * channels);
    else
      round_rows(from, width, channels, to, pitch);
    to = std::fill_n(to + width * pitch, pad * pitch, Bfloat16{});
  }
  std::fill_n(to, kSlack, Bfloat16{});
}

void PaddedImage::clear_border(Bfloat16* to) const {
  const std::int64_t side = pad * pitch, outer = pad * row_elements();
  to = std::fill_n(to, outer, Bfloat16{});
  for (std::int64_t y = 0; y < height; ++y) {
    to = std::fill_n(to, side, Bfloat16{});
    to = std::fill_n(to + width * pitch, side, Bfloat16{});
  }
  std::fill_n(to, outer + kSlack, Bfloat16{});
}

}  // namespace deq::cpu
