#include "data/transform.h"

#include "core/error.h"
#include "data/random.h"

namespace deq {

Augmentation draw_augmentation(std::uint64_t seed, std::int64_t epoch, std::int64_t index, int padding) {
  KeyedRandom random(seed, static_cast<std::uint64_t>(epoch), static_cast<std::uint64_t>(index));
  Augmentation out;
  out.shift_y = random.below(2 * padding + 1) - padding;
  out.shift_x = random.below(2 * padding + 1) - padding;
  out.is_flipped = random.below(2) == 1;
  return out;
}

void normalise_image(std::span<const std::uint8_t> pixels, const Shape& shape, const Normalisation& normalisation,
                     const Augmentation& augmentation, std::span<float> out) {
  const std::int64_t height = shape[0];
  const std::int64_t width = shape[1];
  const std::int64_t channels = shape[2];
  check(pixels.size() == static_cast<std::size_t>(shape.elements()) && out.size() == pixels.size() &&
            normalisation.mean.size() == static_cast<std::size_t>(channels) &&
            normalisation.std.size() == static_cast<std::size_t>(channels),
        "normalise image", pixels.size(), " pixels, ", out.size(), " results and ", normalisation.mean.size(),
        " channels do not fit ", shape);
  for (std::int64_t c = 0; c < channels; ++c) {
    const float mean = normalisation.mean[static_cast<std::size_t>(c)];
    const float std = normalisation.std[static_cast<std::size_t>(c)];
    const auto normalised = [mean, std](std::uint8_t value) { return NormalisePixel::normalised(value, mean, std); };
    for (std::int64_t y = 0; y < height; ++y) {
      const std::int64_t from_y = y + augmentation.shift_y;
      for (std::int64_t x = 0; x < width; ++x) {
        const std::int64_t from_x = (augmentation.is_flipped ? width - 1 - x : x) + augmentation.shift_x;
        const bool is_inside = 0 <= from_y && from_y < height && 0 <= from_x && from_x < width;
        const auto from = static_cast<std::size_t>((from_y * width + from_x) * channels + c);
        out[static_cast<std::size_t>((y * width + x) * channels + c)] = normalised(is_inside ? pixels[from] : 0);
      }
    }
  }
}

}  // namespace deq
