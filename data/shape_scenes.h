#pragma once

#include <array>
#include <memory>
#include <string_view>

#include "data/dataset.h"
#include "data/labelled_image.h"

namespace deq {

/// Classes of the pixels of `shapes-seg`.
inline constexpr std::array<std::string_view, 6> kSceneClasses = {"ground",   "circle", "square",
                                                                  "triangle", "cross",  "ring"};

/// Draws scene `index` of a split: one to four coloured figures, later ones over earlier ones, on a shaded, textured
/// and noisy ground. Circles and squares share a range of colours, triangles and crosses another one, so that colour
/// alone does not tell the class. A function of its arguments alone.
LabelledImage draw_scene(std::uint64_t seed, Split split, std::int64_t index, int height, int width);

/// The set `shapes-seg`: drawn scenes with one class a pixel, 48 x 64 unless the options say otherwise; 2,048 for
/// training, 200 for testing. Needs no files.
std::shared_ptr<const Dataset> draw_scenes(Split split, const DatasetOptions& options = {});

inline constexpr std::int64_t kSceneTrainImages = 2048;
inline constexpr std::int64_t kSceneTestImages = 200;

}  // namespace deq
