#include "data/figure.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace deq {

Colour random_colour(KeyedRandom& random) { return {random.uniform(), random.uniform(), random.uniform()}; }

Colour grey(bool is_light) { return is_light ? Colour{1, 1, 1} : Colour{0, 0, 0}; }

Colour mixed(const Colour& from, const Colour& to, double share) {
  Colour out{};
  for (std::size_t c = 0; c < out.size(); ++c) out[c] = from[c] + share * (to[c] - from[c]);
  return out;
}

Colour Ground::at(Point p) const {
  const double along = direction.x * p.x + direction.y * p.y;
  Colour out = mixed(colour, far_colour, std::clamp(along, -0.5, 0.5) + 0.5);
  const double ripple = wave_height * std::sin(wave.x * p.x + wave.y * p.y);
  for (double& channel : out) channel += ripple;
  return out;
}

Ground random_ground(KeyedRandom& random, double side) {
  Ground ground{};
  ground.is_light = random.below(2) == 1;
  ground.colour = mixed(random_colour(random), grey(ground.is_light), kTint);
  const Colour other = mixed(random_colour(random), grey(ground.is_light), kTint);
  ground.far_colour = mixed(ground.colour, other, 0.5);
  const double angle = random.uniform(0, 2 * std::numbers::pi);
  ground.direction = {std::cos(angle) / side, std::sin(angle) / side};
  ground.wave = {random.uniform(-1.2, 1.2), random.uniform(-1.2, 1.2)};
  ground.wave_height = random.uniform(0, 0.04);
  return ground;
}

double PlacedOutline::cover(Point p) const {
  const Point from{p.x - centre.x, p.y - centre.y};
  if (std::abs(from.x) > 1.3 * radius + 1 || std::abs(from.y) > 1.3 * radius + 1) return 0;
  const Point local{(axis.x * from.x + axis.y * from.y) / (radius * stretch),
                    (-axis.y * from.x + axis.x * from.y) / (radius / stretch)};
  return std::clamp(0.5 - radius * signed_distance(outline, local), 0.0, 1.0);
}

}  // namespace deq
