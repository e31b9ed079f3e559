#include "train/class_colours.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace deq {

std::array<std::uint8_t, 3> class_colour(int index) {
  constexpr std::uint8_t kGrey = 110;
  if (index == 0) return {kGrey, kGrey, kGrey};  // mostly ground or road: what stands on it is to stand out
  // Multiples of the golden ratio's fraction spread evenly over the circle, however many there are.
  constexpr double kGolden = 0.6180339887498949, kFirstHue = 0.4;
  const double hue = 6 * std::fmod(kFirstHue + kGolden * index, 1.0);
  const double value = index / 8 % 2 == 0 ? 0.95 : 0.65;
  std::array<std::uint8_t, 3> out{};
  for (std::size_t c = 0; c < out.size(); ++c) {
    // Each channel is a plateau with slopes around its own hue (red 0, green 2, blue 4 of 6).
    const double away = std::abs(std::remainder(hue - 2.0 * static_cast<double>(c), 6.0));
    const double share = std::clamp(2 - away, 0.0, 1.0);
    out[c] = static_cast<std::uint8_t>(std::lround(255 * value * (0.15 + 0.85 * share)));
  }
  return out;
}

std::string colour_text(const std::array<std::uint8_t, 3>& colour) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out = "#";
  for (const std::uint8_t channel : colour) {
    out += kDigits[channel / 16U];
    out += kDigits[channel % 16U];
  }
  return out;
}

Image class_overlay(const Image& image, const PixelLabels& classes) {
  check(image.height == classes.height && image.width == classes.width, "overlay", "image of ", image.height, " x ",
        image.width, " but labels of ", classes.height, " x ", classes.width);
  constexpr int kTint = 45, kBorderTint = 100;  // percent
  const auto differs = [&](int y, int x, std::int32_t label) {
    const bool is_inside = y >= 0 && x >= 0 && y < classes.height && x < classes.width;
    return is_inside && classes.at(y, x) != label;
  };
  Image out(image.height, image.width);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const std::int32_t label = classes.at(y, x);
      const bool is_border = label != 0 && (differs(y, x + 1, label) || differs(y + 1, x, label) ||
                                            differs(y, x - 1, label) || differs(y - 1, x, label));
      const auto colour = class_colour(label);
      const int tint = is_border ? kBorderTint : kTint;
      for (std::size_t c = 0; c < colour.size(); ++c)
        out.at(y, x)[c] = static_cast<std::uint8_t>((image.at(y, x)[c] * (100 - tint) + colour[c] * tint + 50) / 100);
    }
  }
  return out;
}

}  // namespace deq
