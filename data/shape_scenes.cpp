#include "data/shape_scenes.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "data/figure.h"
#include "data/segmentation_set.h"

namespace deq {
namespace {

constexpr double kMinRadius = 0.17, kMaxRadius = 0.28;  // of a figure, over the shorter side of the picture
constexpr double kMaxTurn = 0.25;                       // radians to either side
constexpr double kNoise = 0.04;                         // largest change of a channel by noise
constexpr double kHueSpread = 0.06;                     // of a colour range to either side, in turns
constexpr int kMostFigures = 4;

/// Middle of the hues of each outline's colours, in turns: circles are reddish, squares yellowish, triangles greenish,
/// crosses bluish, rings purple.
constexpr std::array<double, kSceneClasses.size() - 1> kHues = {0.0, 0.17, 0.37, 0.58, 0.8};

/// The colour of a hue (in turns), fully saturated at strength 1.
Colour colour_of_hue(double hue, double strength, double brightness) {
  Colour out{};
  for (std::size_t c = 0; c < out.size(); ++c) {
    const double phase = 2 * std::numbers::pi * (hue - static_cast<double>(c) / 3);
    out[c] = brightness * (1 - strength + strength * (0.5 + 0.5 * std::cos(phase)));
  }
  return out;
}

PlacedOutline random_figure(KeyedRandom& random, double height, double width) {
  PlacedOutline figure{.outline = random.below(static_cast<int>(kHues.size()))};
  figure.radius = random.uniform(kMinRadius, kMaxRadius) * std::min(height, width);
  const double room_y = height / 2 - 0.6 * figure.radius, room_x = width / 2 - 0.6 * figure.radius;
  figure.centre = {random.uniform(-room_x, room_x), random.uniform(-room_y, room_y)};
  const double turn = random.uniform(-kMaxTurn, kMaxTurn);
  figure.axis = {std::cos(turn), std::sin(turn)};
  const double hue = kHues[static_cast<std::size_t>(figure.outline)] + random.uniform(-kHueSpread, kHueSpread);
  figure.colour = colour_of_hue(hue, random.uniform(0.6, 0.9), random.uniform(0.7, 1.0));
  return figure;
}

/// Grey to beige, with the waves of `shapes`, stronger.
Ground random_scene_ground(KeyedRandom& random, double side) {
  Ground ground = random_ground(random, side);
  const double middle = random.uniform(0.25, 0.7);
  ground.colour = mixed({middle, middle, middle}, ground.colour, 0.25);
  ground.far_colour = mixed({1 - middle, 1 - middle, 1 - middle}, ground.far_colour, 0.25);
  ground.wave_height = random.uniform(0.02, 0.1);
  return ground;
}

}  // namespace

LabelledImage draw_scene(std::uint64_t seed, Split split, std::int64_t index, int height, int width) {
  KeyedRandom random(seed, static_cast<std::uint64_t>(split), static_cast<std::uint64_t>(index));
  const Ground ground = random_scene_ground(random, std::max(height, width));
  std::vector<PlacedOutline> figures(static_cast<std::size_t>(1 + random.below(kMostFigures)));
  for (PlacedOutline& figure : figures) figure = random_figure(random, height, width);
  LabelledImage out{.image = Image(height, width), .labels = PixelLabels(height, width, 0)};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const Point p{x - (width - 1) / 2.0, y - (height - 1) / 2.0};
      Colour colour = ground.at(p);
      for (const PlacedOutline& figure : figures) {
        const double cover = figure.cover(p);
        colour = mixed(colour, figure.colour, cover);
        if (cover >= 0.5) out.labels.at(y, x) = 1 + figure.outline;
      }
      const auto pixel = out.image.at(y, x);
      for (std::size_t c = 0; c < colour.size(); ++c) {
        const double value = colour[c] + random.uniform(-kNoise, kNoise);
        pixel[c] = static_cast<std::uint8_t>(std::lround(255 * std::clamp(value, 0.0, 1.0)));
      }
    }
  }
  return out;
}

std::shared_ptr<const Dataset> draw_scenes(Split split, const DatasetOptions& options) {
  constexpr int kUsualHeight = 48, kUsualWidth = 64;
  constexpr std::uint64_t kUsualSeed = 2020;
  const int height = options.height > 0 ? options.height : kUsualHeight;
  const int width = options.width > 0 ? options.width : kUsualWidth;
  const std::uint64_t seed = options.seed != 0 ? options.seed : kUsualSeed;
  const std::int64_t usual = split == Split::train ? kSceneTrainImages : kSceneTestImages;
  DatasetInfo info{.name = "shapes-seg",
                   .image_shape = {height, width, 3},
                   .class_names = {kSceneClasses.begin(), kSceneClasses.end()},
                   .normalisation = {.mean = {0.5F, 0.5F, 0.5F}, .std = {0.25F, 0.25F, 0.25F}}};
  return std::make_shared<SegmentationSet>(
      std::move(info), options.size > 0 ? options.size : usual,
      [=](std::int64_t index) { return draw_scene(seed, split, index, height, width); }, options);
}

}  // namespace deq
