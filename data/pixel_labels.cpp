#include "data/pixel_labels.h"

#include <algorithm>
#include <limits>

#include "data/file.h"
#include "data/png_labels.h"
#include "data/stb.h"

namespace deq {

PixelLabels::PixelLabels(int rows, int columns, std::int32_t label) : height(rows), width(columns) {
  check(rows >= 0 && columns >= 0, "label map", "size ", rows, " x ", columns);
  labels.assign(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns), label);
}

PixelLabels read_pixel_labels(const std::filesystem::path& path) {
  return decode_png_labels(read_file(path), path.string());
}

void write_pixel_labels(const std::filesystem::path& path, const PixelLabels& map) {
  std::vector<std::uint8_t> grey;
  grey.reserve(map.labels.size());
  for (const std::int32_t label : map.labels) {
    check(label >= 0 && label <= std::numeric_limits<std::uint8_t>::max(), path.string(), "label ", label,
          " does not fit into 8 bits");
    grey.push_back(static_cast<std::uint8_t>(label));
  }
  write_file(path, encode_png(grey, map.height, map.width, 1));
}

PixelLabels resized_window(const PixelLabels& map, const ScaledWindow& window) {
  check(map.height > 0 && map.width > 0, "resize", "the label map is empty");
  const auto source = [](int i, int from, int to) {  // floor((i + 1/2) from / to)
    return static_cast<int>((2 * static_cast<std::int64_t>(i) + 1) * from / (2 * static_cast<std::int64_t>(to)));
  };
  PixelLabels out(window.height, window.width, 0);
  for (int y = 0; y < window.height; ++y) {
    const int from_y = source(window.top + y, map.height, window.full_height);
    for (int x = 0; x < window.width; ++x)
      out.at(y, x) = map.at(from_y, source(window.left + x, map.width, window.full_width));
  }
  return out;
}

}  // namespace deq
