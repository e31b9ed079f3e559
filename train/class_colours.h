#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "data/image.h"
#include "data/pixel_labels.h"

namespace deq {

/// Red, green, blue of a class in overlays: grey for class 0, then hues far apart for neighbouring classes. The same in
/// every picture.
std::array<std::uint8_t, 3> class_colour(int index);

/// "#rrggbb".
std::string colour_text(const std::array<std::uint8_t, 3>& colour);

/// The image with every pixel tinted in the colour of its class, the borders of all but class 0 in full colour. Both
/// have one size.
Image class_overlay(const Image& image, const PixelLabels& classes);

}  // namespace deq
