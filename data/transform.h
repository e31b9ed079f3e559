#pragma once

#include <cstdint>
#include <span>

#include "core/shape.h"
#include "data/dataset.h"
#include "data/example.h"

namespace deq {

/// Padding of the usual CIFAR-10 augmentation.
inline constexpr int kCropPadding = 4;

/// Shifts uniform in -padding ... padding and a flip with probability 1/2, a function of (seed, epoch, index) alone.
Augmentation draw_augmentation(std::uint64_t seed, std::int64_t epoch, std::int64_t index, int padding = kCropPadding);

/// 8-bit HWC pixels to normalised f32 HWC: (x / 255 - mean) / std after moving, so padding is black before
/// normalisation. `out` has as many elements as `pixels`, `shape` is [height, width, channels].
void normalise_image(std::span<const std::uint8_t> pixels, const Shape& shape, const Normalisation& normalisation,
                     const Augmentation& augmentation, std::span<float> out);

}  // namespace deq
