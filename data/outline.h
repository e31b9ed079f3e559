#pragma once

#include <array>
#include <string_view>

namespace deq {

/// A point of the plane; y points down, as in images.
struct Point {
  double x = 0;
  double y = 0;
};

/// Names of the outlines of the set `shapes`, in class order.
inline constexpr std::array<std::string_view, 10> kOutlineNames = {
    "circle", "square", "triangle", "cross", "ring", "frame", "saltire", "bars", "columns", "checkers"};

/// Distance of `point` to the edge of outline number `index`, negative inside. The outline about fills the unit circle
/// and stands upright. Errors: Error when there is no such outline.
double signed_distance(int index, Point point);

}  // namespace deq
