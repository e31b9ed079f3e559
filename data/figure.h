#pragma once

#include <array>

#include "data/outline.h"
#include "data/random.h"

namespace deq {

/// Red, green and blue, each about 0 ... 1.
using Colour = std::array<double, 3>;

Colour random_colour(KeyedRandom& random);
Colour grey(bool is_light);
/// from + share * (to - from).
Colour mixed(const Colour& from, const Colour& to, double share);

/// A ground that shades from one colour to a nearby one and carries faint waves.
struct Ground {
  bool is_light;
  Colour colour;
  Colour far_colour;
  Point direction;  ///< unit vector over the side of the picture
  Point wave;
  double wave_height;

  /// @param p  in pixels from the centre
  [[nodiscard]] Colour at(Point p) const;
};

/// @param side  of the picture in pixels
Ground random_ground(KeyedRandom& random, double side);

/// One outline in place: a pixel's share of it is its cover, with an edge one pixel wide.
struct PlacedOutline {
  int outline = 0;
  Point centre{};
  double radius = 1;
  Point axis{1, 0};  ///< where the outline's own x axis points
  double stretch = 1;
  Colour colour{};

  [[nodiscard]] double cover(Point p) const;
};

/// Share of black or white in colours of `shapes`: figure and ground differ by 0.2 or more.
inline constexpr double kTint = 0.6;

}  // namespace deq
