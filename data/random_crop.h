#pragma once

#include <array>

#include "data/image.h"
#include "data/random.h"

namespace deq {

/// A part of the image of random size, aspect and place, scaled bilinearly to height x width and mirrored with
/// probability 1/2: it covers a share of the area uniform in `area`, its aspect is log-uniform in 3/4 ... 4/3. When ten
/// draws do not fit into the image, the largest central part of an allowed aspect.
/// Source: Szegedy et al., Going Deeper with Convolutions, CVPR 2015, section 6.
Image random_resized_crop(const Image& image, int height, int width, const std::array<double, 2>& area,
                          KeyedRandom& random);

/// The image scaled until it covers 256/224 of height x width, then cut to height x width about its centre.
Image centre_view(const Image& image, int height, int width);

/// Left to right.
Image mirrored(const Image& image);

}  // namespace deq
