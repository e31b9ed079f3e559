#include "data/outline.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace deq {
namespace {

/// An upright rectangle about the origin. Outside its corners the value is a lower bound, which is enough at the edge.
double box_distance(Point p, double half_width, double half_height) {
  return std::max(std::abs(p.x) - half_width, std::abs(p.y) - half_height);
}

double circle_distance(Point p, double radius) { return std::hypot(p.x, p.y) - radius; }

/// Equal sides, one corner up: the largest distance to its three lines.
double triangle_distance(Point p) {
  constexpr double kInnerRadius = 0.52;
  const double side = std::numbers::sqrt3 / 2 * std::abs(p.x) - 0.5 * (p.y - 0.12);
  return std::max(side, p.y - 0.12) - kInnerRadius;
}

double cross_distance(Point p) {
  constexpr double kArm = 0.22;
  constexpr double kLength = 0.92;
  return std::min(box_distance(p, kArm, kLength), box_distance(p, kLength, kArm));
}

Point turned_by_eighth(Point p) { return {(p.x + p.y) / std::numbers::sqrt2, (p.y - p.x) / std::numbers::sqrt2}; }

/// Three parallel bars, lying.
double bars_distance(Point p) {
  constexpr double kHalfWidth = 0.16;
  constexpr double kSpacing = 0.62;
  const double row = std::clamp(std::round(p.y / kSpacing), -1.0, 1.0);
  return box_distance({p.x, p.y - row * kSpacing}, 0.8, kHalfWidth);
}

/// Four by four fields, every other one filled.
double checkers_distance(Point p) {
  constexpr double kField = 0.42;
  const double row = std::floor(p.y / kField);
  const double column = std::floor(p.x / kField);
  const double to_row = std::abs(p.y - kField * std::round(p.y / kField));
  const double to_column = std::abs(p.x - kField * std::round(p.x / kField));
  const double to_edge = std::min(to_row, to_column);
  const bool is_filled = std::fmod(std::abs(row + column), 2.0) == 0.0;
  return std::max(is_filled ? -to_edge : to_edge, box_distance(p, 2 * kField, 2 * kField));
}

}  // namespace

double signed_distance(int index, Point point) {
  switch (index) {
    case 0: return circle_distance(point, 0.85);
    case 1: return box_distance(point, 0.72, 0.72);
    case 2: return triangle_distance(point);
    case 3: return cross_distance(point);
    case 4: return std::abs(circle_distance(point, 0.74)) - 0.15;
    case 5: return std::abs(box_distance(point, 0.64, 0.64)) - 0.15;
    case 6: return cross_distance(turned_by_eighth(point));
    case 7: return bars_distance(point);
    case 8: return bars_distance({point.y, point.x});
    case 9: return checkers_distance(point);
  }
  throw Error(concat("outline: no number ", index));
}

}  // namespace deq
