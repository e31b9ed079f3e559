#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "data/image.h"

namespace deq {

/// One whole number a pixel, row by row: a label as files have it, or a class.
struct PixelLabels {
  int height = 0;
  int width = 0;
  std::vector<std::int32_t> labels{};

  PixelLabels() = default;
  PixelLabels(int rows, int columns, std::int32_t label);
  [[nodiscard]] std::int32_t at(int y, int x) const { return labels[index(y, x)]; }
  [[nodiscard]] std::int32_t& at(int y, int x) { return labels[index(y, x)]; }

 private:
  [[nodiscard]] std::size_t index(int y, int x) const {
    return static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x);
  }
};

/// Reads labels from a PNG: the values of a grey image of 1 to 16 bits, or the palette indices of a palette image.
/// Errors: BadImage when the file is damaged; RequestError when it is a colour image, interlaced or no PNG.
PixelLabels read_pixel_labels(const std::filesystem::path& path);

/// Writes labels as a grey PNG of 8 bits. Errors: Error for a label outside 0 ... 255 or a file that cannot be written.
void write_pixel_labels(const std::filesystem::path& path, const PixelLabels& map);

/// Part of the map scaled to full_height x full_width; each pixel takes the label at its centre.
PixelLabels resized_window(const PixelLabels& map, const ScaledWindow& window);

}  // namespace deq
