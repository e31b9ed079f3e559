#include "data/labelled_image.h"

#include <algorithm>
#include <cmath>

namespace deq {
namespace {

/// Writes `window` of the scaled image and labels into the top left corner of an example of height x width.
void place(const LabelledImage& from, const ScaledWindow& window, int height, int width, bool is_flipped,
           Example& out) {
  constexpr std::size_t kRgb = 3;
  const auto columns = static_cast<std::size_t>(width);
  out.memory.assign(static_cast<std::size_t>(height) * columns * kRgb, 0);
  out.labels.assign(static_cast<std::size_t>(height) * columns, kNoLabel);
  const bool is_same = window.full_height == from.image.height && window.full_width == from.image.width;
  const Image image = is_same ? cropped(from.image, window.top, window.left, window.height, window.width)
                              : resized_window(from.image, window);
  const PixelLabels labels = resized_window(from.labels, window);
  for (int y = 0; y < window.height; ++y) {
    for (int x = 0; x < window.width; ++x) {
      const std::size_t to =
          static_cast<std::size_t>(y) * columns + static_cast<std::size_t>(is_flipped ? width - 1 - x : x);
      std::ranges::copy(image.at(y, x), out.memory.begin() + static_cast<std::ptrdiff_t>(to * kRgb));
      out.labels[to] = labels.at(y, x);
    }
  }
}

}  // namespace

FittedSize fitted_size(int height, int width, int max_height, int max_width) {
  const double scale = std::min(static_cast<double>(max_height) / height, static_cast<double>(max_width) / width);
  return {.height = std::clamp(static_cast<int>(std::lround(height * scale)), 1, max_height),
          .width = std::clamp(static_cast<int>(std::lround(width * scale)), 1, max_width)};
}

Image fitted_inside(const Image& image, int height, int width) {
  if (image.height == height && image.width == width) return image;
  const FittedSize size = fitted_size(image.height, image.width, height, width);
  const Image scaled = resized(image, size.height, size.width);
  Image out(height, width);
  for (int y = 0; y < size.height; ++y)
    for (int x = 0; x < size.width; ++x) std::ranges::copy(scaled.at(y, x), out.at(y, x).begin());
  return out;
}

void fit_example(const LabelledImage& from, int height, int width, Example& out) {
  const FittedSize size = fitted_size(from.image.height, from.image.width, height, width);
  place(from,
        {.full_height = size.height,
         .full_width = size.width,
         .top = 0,
         .left = 0,
         .height = size.height,
         .width = size.width},
        height, width, /*is_flipped=*/false, out);
}

void augment_example(const LabelledImage& from, int height, int width, const std::array<double, 2>& scale,
                     KeyedRandom& random, Example& out) {
  constexpr double kStep = 0.1;
  const int factors = static_cast<int>(std::floor((scale[1] - scale[0]) / kStep + 1e-6)) + 1;
  const double factor = scale[0] + kStep * random.below(factors);
  ScaledWindow window{.full_height = std::max(1, static_cast<int>(std::lround(from.image.height * factor))),
                      .full_width = std::max(1, static_cast<int>(std::lround(from.image.width * factor)))};
  window.height = std::min(height, window.full_height);
  window.width = std::min(width, window.full_width);
  window.top = random.below(window.full_height - window.height + 1);
  window.left = random.below(window.full_width - window.width + 1);
  place(from, window, height, width, random.below(2) == 1, out);
}

}  // namespace deq
