#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string_view>

namespace deq {

/// phi(step) = r(w + step p) and its derivative p^T grad r(w + step p).
struct LinePoint {
  double step = 0.0;
  double value = 0.0;
  double slope = 0.0;
};

struct WolfeOptions {
  double decrease = 1e-4;   ///< c1: phi(t) <= phi(0) + c1 t phi'(0)
  double curvature = 0.9;   ///< c2: |phi'(t)| <= c2 |phi'(0)|; 9e-4 is what SHINE's published code asks for
  double first_step = 1.0;  ///< first trial
  double max_step = 1e10;
  int max_evaluations = 20;
  bool operator==(const WolfeOptions&) const = default;
};
/// c2 of SHINE's published code.
inline constexpr double kParityCurvature = 9e-4;

enum class LineSearchStatus : std::uint8_t {
  satisfied,    ///< both conditions hold at `point`
  decreased,    ///< evaluations used up; `point` is the lowest value seen and below phi(0)
  failed,       ///< no lower value was seen; `point` is the start
  not_descent,  ///< phi'(0) >= 0 or not a number; nothing was evaluated
};
std::string_view name_of(LineSearchStatus status);

struct LineSearchResult {
  LineSearchStatus status = LineSearchStatus::failed;
  LinePoint point{};
  bool is_last = false;  ///< `point` is the point that was evaluated last
  int evaluations = 0;
};

/// A step that meets the strong Wolfe conditions: the bracket grows by doubling, then shrinks by safeguarded cubic
/// interpolation. Differences of phi below its rounding error count as none, so that a search close to the minimum is
/// decided by the slopes. A value or slope that is not finite counts as too high.
///
/// Source: J. Nocedal, S. Wright, Numerical Optimization, 2nd ed., algorithms 3.5 and 3.6;
/// W. Hager, H. Zhang, SIAM J. Optim. 16 (2005), "approximate Wolfe conditions" for the rounding.
/// @param phi    phi and phi' at a step
/// @param value  phi(0)
/// @param slope  phi'(0)
LineSearchResult search_wolfe(const std::function<LinePoint(double step)>& phi, double value, double slope,
                              const WolfeOptions& options);

}  // namespace deq
