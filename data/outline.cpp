#include "data/outline.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <vector>

#include "core/error.h"

namespace deq {
namespace {

constexpr std::array<Point, 4> kSquare = {{{-0.72, -0.72}, {0.72, -0.72}, {0.72, 0.72}, {-0.72, 0.72}}};
constexpr std::array<Point, 3> kTriangle = {{{0, -1}, {0.92, 0.7}, {-0.92, 0.7}}};
constexpr std::array<Point, 12> kCross = {{{-0.28, -0.95},
                                           {0.28, -0.95},
                                           {0.28, -0.28},
                                           {0.95, -0.28},
                                           {0.95, 0.28},
                                           {0.28, 0.28},
                                           {0.28, 0.95},
                                           {-0.28, 0.95},
                                           {-0.28, 0.28},
                                           {-0.95, 0.28},
                                           {-0.95, -0.28},
                                           {-0.28, -0.28}}};
constexpr std::array<Point, 7> kArrow = {
    {{0, -1}, {0.8, -0.1}, {0.26, -0.1}, {0.26, 0.95}, {-0.26, 0.95}, {-0.26, -0.1}, {-0.8, -0.1}}};

std::vector<Point> star_corners() {
  constexpr int kTips = 5;
  constexpr double kInnerRadius = 0.42;
  std::vector<Point> corners;
  for (int i = 0; i < 2 * kTips; ++i) {
    const double radius = i % 2 == 0 ? 1.0 : kInnerRadius;
    const double angle = std::numbers::pi * i / kTips;
    corners.push_back({radius * std::sin(angle), -radius * std::cos(angle)});
  }
  return corners;
}

/// The heart curve x = 16 sin^3 t, y = 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t, scaled into the unit circle.
std::vector<Point> heart_corners() {
  constexpr int kCorners = 24;
  constexpr double kScale = 1.0 / 16.5;
  std::vector<Point> corners;
  for (int i = 0; i < kCorners; ++i) {
    const double t = 2 * std::numbers::pi * i / kCorners;
    const double height = 13 * std::cos(t) - 5 * std::cos(2 * t) - 2 * std::cos(3 * t) - std::cos(4 * t);
    corners.push_back({kScale * 16 * std::pow(std::sin(t), 3), -kScale * (height + 2.5)});
  }
  return corners;
}

/// Exact distance to a closed polygon: nearest edge, sign by counting crossings.
double polygon_distance(std::span<const Point> corners, Point p) {
  double nearest = INFINITY;
  bool is_inside = false;
  for (std::size_t i = 0, j = corners.size() - 1; i < corners.size(); j = i++) {
    const Point a = corners[i];
    const Point edge{corners[j].x - a.x, corners[j].y - a.y};
    const Point to{p.x - a.x, p.y - a.y};
    const double along = std::clamp((to.x * edge.x + to.y * edge.y) / (edge.x * edge.x + edge.y * edge.y), 0.0, 1.0);
    const Point off{to.x - along * edge.x, to.y - along * edge.y};
    nearest = std::min(nearest, off.x * off.x + off.y * off.y);
    const bool is_crossed = (a.y > p.y) != (corners[j].y > p.y) && p.x < a.x + edge.x * (p.y - a.y) / edge.y;
    if (is_crossed) is_inside = !is_inside;
  }
  return is_inside ? -std::sqrt(nearest) : std::sqrt(nearest);
}

double crescent_distance(Point p) {
  const double outer = std::hypot(p.x, p.y) - 0.95;
  const double bite = std::hypot(p.x - 0.5, p.y) - 0.78;
  return std::max(outer, -bite);
}

/// Three parallel bars.
double stripes_distance(Point p) {
  constexpr double kHalfWidth = 0.17;
  constexpr double kSpacing = 0.62;
  const double row = std::clamp(std::round(p.y / kSpacing), -1.0, 1.0);
  return std::max(std::abs(p.y - row * kSpacing) - kHalfWidth, std::abs(p.x) - 0.7);
}

}  // namespace

double signed_distance(int index, Point point) {
  static const std::vector<Point> star = star_corners();
  static const std::vector<Point> heart = heart_corners();
  switch (index) {
    case 0: return std::hypot(point.x, point.y) - 0.85;
    case 1: return polygon_distance(kSquare, point);
    case 2: return polygon_distance(kTriangle, point);
    case 3: return polygon_distance(kCross, point);
    case 4: return std::abs(std::hypot(point.x, point.y) - 0.72) - 0.2;
    case 5: return polygon_distance(star, point);
    case 6: return crescent_distance(point);
    case 7: return stripes_distance(point);
    case 8: return polygon_distance(heart, point);
    case 9: return polygon_distance(kArrow, point);
  }
  throw Error(concat("outline: no number ", index));
}

}  // namespace deq
