#include "data/random_crop.h"

#include <algorithm>
#include <cmath>

namespace deq {
namespace {

struct Part {
  int top = 0, left = 0, height = 0, width = 0;
};

constexpr double kLeastAspect = 3.0 / 4, kMostAspect = 4.0 / 3;  // width over height

Part central_part(const Image& image) {
  const double aspect = static_cast<double>(image.width) / image.height;
  Part part{.height = image.height, .width = image.width};
  if (aspect < kLeastAspect) part.height = std::max(1, static_cast<int>(std::lround(image.width / kLeastAspect)));
  if (aspect > kMostAspect) part.width = std::max(1, static_cast<int>(std::lround(image.height * kMostAspect)));
  part.top = (image.height - part.height) / 2;
  part.left = (image.width - part.width) / 2;
  return part;
}

Part random_part(const Image& image, const std::array<double, 2>& area, KeyedRandom& random) {
  constexpr int kDraws = 10;
  const double pixels = static_cast<double>(image.height) * image.width;
  for (int i = 0; i < kDraws; ++i) {
    const double covered = pixels * random.uniform(area[0], area[1]);
    const double aspect = std::exp(random.uniform(std::log(kLeastAspect), std::log(kMostAspect)));
    const int width = static_cast<int>(std::lround(std::sqrt(covered * aspect)));
    const int height = static_cast<int>(std::lround(std::sqrt(covered / aspect)));
    if (width < 1 || height < 1 || width > image.width || height > image.height) continue;
    const int top = random.below(image.height - height + 1);
    return {.top = top, .left = random.below(image.width - width + 1), .height = height, .width = width};
  }
  return central_part(image);
}

}  // namespace

Image mirrored(const Image& image) {
  Image out(image.height, image.width);
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) std::ranges::copy(image.at(y, image.width - 1 - x), out.at(y, x).begin());
  return out;
}

Image random_resized_crop(const Image& image, int height, int width, const std::array<double, 2>& area,
                          KeyedRandom& random) {
  const Part part = random_part(image, area, random);
  Image out = resized(cropped(image, part.top, part.left, part.height, part.width), height, width);
  return random.below(2) == 1 ? mirrored(out) : out;
}

Image centre_view(const Image& image, int height, int width) {
  constexpr double kCover = 256.0 / 224;
  const double scale =
      kCover * std::max(static_cast<double>(height) / image.height, static_cast<double>(width) / image.width);
  const int full_height = std::max(height, static_cast<int>(std::lround(image.height * scale)));
  const int full_width = std::max(width, static_cast<int>(std::lround(image.width * scale)));
  return resized_window(image, {.full_height = full_height,
                                .full_width = full_width,
                                .top = (full_height - height) / 2,
                                .left = (full_width - width) / 2,
                                .height = height,
                                .width = width});
}

}  // namespace deq
