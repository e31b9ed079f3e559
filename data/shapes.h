#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "data/dataset.h"

namespace deq {

/// Size and seed of the drawn set. The defaults are the set called "shapes".
struct ShapesOptions {
  std::uint64_t seed = 2019;
  std::int64_t train_images = 16384;
  std::int64_t test_images = 2000;
};

/// Side of the images of `shapes` in pixels.
inline constexpr int kShapesSide = 32;

/// Draws the set `shapes`: one of ten outlines (class: index modulo 10) of random place, size, turn and colour on a
/// shaded, textured and noisy ground with small distracting dots. Light and dark change places at random, so that no
/// linear model can tell the classes. Needs no files.
std::shared_ptr<const ImageSet> draw_shapes(Split split, const ShapesOptions& options = {});

/// Image `index` of a split: a function of its arguments alone. `pixels` is 32 x 32 x 3, HWC.
void draw_shape(std::uint64_t seed, Split split, std::int64_t index, std::span<std::uint8_t> pixels);

}  // namespace deq
