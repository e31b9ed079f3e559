#include "data/shapes.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "data/figure.h"
#include "data/random.h"

namespace deq {
namespace {

constexpr double kMinRadius = 10.5;  // pixels: outlines measure 21 to 27 across
constexpr double kMaxRadius = 13.5;
constexpr double kMaxShift = 4;       // pixels from the centre, each way
constexpr double kMaxTurn = 0.12;     // radians to either side
constexpr double kMaxStretch = 0.08;  // of one axis against the other
constexpr double kNoise = 0.03;       // largest change of a channel by noise
constexpr int kMaxDots = 2;

PlacedOutline random_figure(KeyedRandom& random, int outline, const Ground& ground) {
  PlacedOutline figure{.outline = outline};
  figure.radius = random.uniform(kMinRadius, kMaxRadius);
  const double room = std::min(kMaxShift, kShapesSide / 2.0 - figure.radius + 1);
  figure.centre = {random.uniform(-room, room), random.uniform(-room, room)};
  const double turn = random.uniform(-kMaxTurn, kMaxTurn);
  figure.axis = {std::cos(turn), std::sin(turn)};
  figure.stretch = 1 + random.uniform(-kMaxStretch, kMaxStretch);
  figure.colour = mixed(random_colour(random), grey(!ground.is_light), kTint);
  return figure;
}

std::vector<PlacedOutline> random_dots(KeyedRandom& random) {
  std::vector<PlacedOutline> dots(static_cast<std::size_t>(random.below(kMaxDots + 1)));
  for (PlacedOutline& dot : dots) {
    dot = {.radius = random.uniform(1, 2), .colour = random_colour(random)};
    dot.centre = {random.uniform(-15, 15), random.uniform(-15, 15)};
  }
  return dots;
}

DatasetInfo shapes_info() {
  DatasetInfo info{.name = "shapes", .image_shape = {kShapesSide, kShapesSide, 3}};
  info.class_names.assign(kOutlineNames.begin(), kOutlineNames.end());
  // Mean 1/2 by the symmetry of the colours; the deviation is measured, rounded.
  info.normalisation = {.mean = {0.5F, 0.5F, 0.5F}, .std = {0.305F, 0.305F, 0.305F}};
  return info;
}

}  // namespace

void draw_shape(std::uint64_t seed, Split split, std::int64_t index, std::span<std::uint8_t> pixels) {
  check(pixels.size() == kShapesSide * kShapesSide * 3, "shapes", pixels.size(), " bytes for an image");
  KeyedRandom random(seed, static_cast<std::uint64_t>(split), static_cast<std::uint64_t>(index));
  const Ground ground = random_ground(random, kShapesSide);
  const auto dots = random_dots(random);
  const PlacedOutline figure = random_figure(random, static_cast<int>(index % std::ssize(kOutlineNames)), ground);
  auto out = pixels.begin();
  for (int y = 0; y < kShapesSide; ++y) {
    for (int x = 0; x < kShapesSide; ++x) {
      const Point p{x - (kShapesSide - 1) / 2.0, y - (kShapesSide - 1) / 2.0};
      Colour colour = ground.at(p);
      for (const PlacedOutline& dot : dots) colour = mixed(colour, dot.colour, dot.cover(p));
      colour = mixed(colour, figure.colour, figure.cover(p));
      for (const double channel : colour) {
        const double value = channel + random.uniform(-kNoise, kNoise);
        *out++ = static_cast<std::uint8_t>(std::lround(255 * std::clamp(value, 0.0, 1.0)));
      }
    }
  }
}

std::shared_ptr<const ImageSet> draw_shapes(Split split, const ShapesOptions& options) {
  const std::int64_t count = split == Split::train ? options.train_images : options.test_images;
  auto set = std::make_shared<ImageSet>(shapes_info());
  set->reserve(count);
  for (std::int64_t index = 0; index < count; ++index) {
    const auto label = static_cast<std::int32_t>(index % std::ssize(kOutlineNames));
    draw_shape(options.seed, split, index, set->append(label));
  }
  return set;
}

}  // namespace deq
