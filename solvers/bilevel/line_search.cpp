#include "solvers/bilevel/line_search.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace deq {
namespace {

constexpr double kRounding = 1e-14;  // of |phi(0)|, a sum over samples: smaller differences of phi are rounding
constexpr double kGrowth = 2.0;
constexpr double kMargin = 0.1;  // a trial keeps this fraction of the bracket away from both ends

class WolfeSearch {
 public:
  WolfeSearch(const std::function<LinePoint(double)>& phi, double value, double slope, const WolfeOptions& options)
      : phi_(phi), options_(options), start_{0.0, value, slope}, slack_(kRounding * std::abs(value)), best_(start_) {}

  LineSearchResult run() {
    if (!(start_.slope < 0.0) || !std::isfinite(start_.value)) return finish(LineSearchStatus::not_descent, start_);
    LinePoint previous = start_;
    double step = std::min(options_.first_step, options_.max_step);
    while (evaluations_ < options_.max_evaluations) {
      const LinePoint point = evaluate(step);
      if (is_too_high(point) || (evaluations_ > 1 && point.value > previous.value + slack_))
        return shrink(previous, point);
      if (is_flat(point)) return finish(LineSearchStatus::satisfied, point);
      if (point.slope >= 0.0) return shrink(point, previous);
      if (step >= options_.max_step) break;
      previous = point;
      step = std::min(options_.max_step, kGrowth * step);
    }
    return give_up();
  }

 private:
  LinePoint evaluate(double step) {
    LinePoint point = phi_(step);
    point.step = step;
    ++evaluations_;
    last_step_ = step;
    if (std::isfinite(point.value) && std::isfinite(point.slope) && point.value < best_.value) best_ = point;
    return point;
  }
  /// Not finite, or without sufficient decrease.
  [[nodiscard]] bool is_too_high(const LinePoint& point) const {
    return !std::isfinite(point.value) || !std::isfinite(point.slope) ||
           point.value > start_.value + options_.decrease * point.step * start_.slope + slack_;
  }
  [[nodiscard]] bool is_flat(const LinePoint& point) const {
    return std::abs(point.slope) <= -options_.curvature * start_.slope;
  }

  /// `low` has sufficient decrease and the lower value, and its slope points to `high`: a minimum lies between.
  LineSearchResult shrink(LinePoint low, LinePoint high) {
    while (evaluations_ < options_.max_evaluations) {
      const double width = high.step - low.step;
      if (std::abs(width) <= 1e-15 * std::max(std::abs(low.step), std::abs(high.step))) break;
      const LinePoint point = evaluate(low.step + width * fraction(low, high, width));
      if (is_too_high(point) || point.value > low.value + slack_) {
        high = point;
        continue;
      }
      if (is_flat(point)) return finish(LineSearchStatus::satisfied, point);
      if (point.slope * width >= 0.0) high = low;
      low = point;
    }
    return give_up();
  }

  /// Where between `low` (0) and `high` (1) the cubic through both points is lowest, kept away from the ends.
  [[nodiscard]] static double fraction(const LinePoint& low, const LinePoint& high, double width) {
    double at = 0.5;
    if (std::isfinite(high.value) && std::isfinite(high.slope)) {
      const double slope_low = low.slope * width, slope_high = high.slope * width;
      const double bend = slope_low + slope_high - 3.0 * (high.value - low.value);
      const double discriminant = bend * bend - slope_low * slope_high;
      if (discriminant >= 0.0) {
        const double root = std::sqrt(discriminant);
        at = 1.0 - (slope_high + root - bend) / (slope_high - slope_low + 2.0 * root);
      }
    }
    return std::isfinite(at) ? std::clamp(at, kMargin, 1.0 - kMargin) : 0.5;
  }

  LineSearchResult give_up() {
    return finish(best_.step > 0.0 ? LineSearchStatus::decreased : LineSearchStatus::failed, best_);
  }
  LineSearchResult finish(LineSearchStatus status, const LinePoint& point) {
    return {status, point, evaluations_ > 0 && point.step == last_step_, evaluations_};
  }

  const std::function<LinePoint(double)>& phi_;
  const WolfeOptions& options_;
  LinePoint start_;
  double slack_;
  LinePoint best_;
  double last_step_ = 0.0;
  int evaluations_ = 0;
};

}  // namespace

std::string_view name_of(LineSearchStatus status) {
  switch (status) {
    case LineSearchStatus::satisfied: return "satisfied";
    case LineSearchStatus::decreased: return "decreased";
    case LineSearchStatus::failed: return "failed";
    case LineSearchStatus::not_descent: return "not_descent";
  }
  return "unknown";
}

LineSearchResult search_wolfe(const std::function<LinePoint(double step)>& phi, double value, double slope,
                              const WolfeOptions& options) {
  check(0.0 < options.decrease && options.decrease < 1.0 && 0.0 < options.curvature && options.curvature < 1.0,
        "search_wolfe", "decrease is ", options.decrease, " and curvature ", options.curvature,
        "; both must lie between 0 and 1");
  check(options.first_step > 0.0 && options.max_step > 0.0 && options.max_evaluations >= 1, "search_wolfe",
        "first_step is ", options.first_step, ", max_step ", options.max_step, " and max_evaluations ",
        options.max_evaluations, "; all must be positive");
  return WolfeSearch(phi, value, slope, options).run();
}

}  // namespace deq
