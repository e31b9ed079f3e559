#include "data/shapes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "core/error.h"
#include "data/outline.h"
#include "data/random.h"

namespace deq {
namespace {

using Colour = std::array<double, 3>;

constexpr double kMinRadius = 10.5;  // pixels: outlines measure 21 to 27 across
constexpr double kMaxRadius = 13.5;
constexpr double kMaxShift = 4;       // pixels from the centre, each way
constexpr double kMaxTurn = 0.12;     // radians to either side
constexpr double kMaxStretch = 0.08;  // of one axis against the other
constexpr double kTint = 0.6;         // share of black or white in colours: outline and ground differ by 0.2 or more
constexpr double kNoise = 0.03;       // largest change of a channel by noise
constexpr int kMaxDots = 2;

Colour random_colour(KeyedRandom& random) { return {random.uniform(), random.uniform(), random.uniform()}; }

Colour grey(bool is_light) { return is_light ? Colour{1, 1, 1} : Colour{0, 0, 0}; }

Colour mixed(const Colour& from, const Colour& to, double share) {
  Colour out{};
  for (std::size_t c = 0; c < out.size(); ++c) out[c] = from[c] + share * (to[c] - from[c]);
  return out;
}

/// A ground that shades from one colour to a nearby one and carries faint waves.
struct Ground {
  bool is_light;
  Colour colour;
  Colour far_colour;
  Point direction;  // unit vector
  Point wave;
  double wave_height;

  [[nodiscard]] Colour at(Point p) const {
    const double along = (direction.x * p.x + direction.y * p.y) / kShapesSide;
    Colour out = mixed(colour, far_colour, std::clamp(along, -0.5, 0.5) + 0.5);
    const double ripple = wave_height * std::sin(wave.x * p.x + wave.y * p.y);
    for (double& channel : out) channel += ripple;
    return out;
  }
};

Ground random_ground(KeyedRandom& random) {
  Ground ground{};
  ground.is_light = random.below(2) == 1;
  ground.colour = mixed(random_colour(random), grey(ground.is_light), kTint);
  const Colour other = mixed(random_colour(random), grey(ground.is_light), kTint);
  ground.far_colour = mixed(ground.colour, other, 0.5);
  const double angle = random.uniform(0, 2 * std::numbers::pi);
  ground.direction = {std::cos(angle), std::sin(angle)};
  ground.wave = {random.uniform(-1.2, 1.2), random.uniform(-1.2, 1.2)};
  ground.wave_height = random.uniform(0, 0.04);
  return ground;
}

/// One outline in place: a pixel's share of it is its cover, with an edge one pixel wide.
struct Figure {
  int outline = 0;
  Point centre{};
  double radius = 1;
  Point axis{1, 0};  // where the outline's own x axis points
  double stretch = 1;
  Colour colour{};

  [[nodiscard]] double cover(Point p) const {
    const Point from{p.x - centre.x, p.y - centre.y};
    if (std::abs(from.x) > 1.3 * radius + 1 || std::abs(from.y) > 1.3 * radius + 1) return 0;
    const Point local{(axis.x * from.x + axis.y * from.y) / (radius * stretch),
                      (-axis.y * from.x + axis.x * from.y) / (radius / stretch)};
    return std::clamp(0.5 - radius * signed_distance(outline, local), 0.0, 1.0);
  }
};

Figure random_figure(KeyedRandom& random, int outline, const Ground& ground) {
  Figure figure{.outline = outline};
  figure.radius = random.uniform(kMinRadius, kMaxRadius);
  const double room = std::min(kMaxShift, kShapesSide / 2.0 - figure.radius + 1);
  figure.centre = {random.uniform(-room, room), random.uniform(-room, room)};
  const double turn = random.uniform(-kMaxTurn, kMaxTurn);
  figure.axis = {std::cos(turn), std::sin(turn)};
  figure.stretch = 1 + random.uniform(-kMaxStretch, kMaxStretch);
  figure.colour = mixed(random_colour(random), grey(!ground.is_light), kTint);
  return figure;
}

std::vector<Figure> random_dots(KeyedRandom& random) {
  std::vector<Figure> dots(static_cast<std::size_t>(random.below(kMaxDots + 1)));
  for (Figure& dot : dots) {
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
  const Ground ground = random_ground(random);
  const auto dots = random_dots(random);
  const Figure figure = random_figure(random, static_cast<int>(index % std::ssize(kOutlineNames)), ground);
  auto out = pixels.begin();
  for (int y = 0; y < kShapesSide; ++y) {
    for (int x = 0; x < kShapesSide; ++x) {
      const Point p{x - (kShapesSide - 1) / 2.0, y - (kShapesSide - 1) / 2.0};
      Colour colour = ground.at(p);
      for (const Figure& dot : dots) colour = mixed(colour, dot.colour, dot.cover(p));
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
