#include "train/tune_statistics.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace deq {
namespace {

bool is_search(const std::string& method) { return method == "grid" || method == "random"; }

double loss_of(const OuterPoint& point, TuneMeasure measure) {
  return measure == TuneMeasure::test ? point.test_loss : point.validation_loss;
}

/// Losses of a trace, one a point; of a search those of its best candidate so far.
std::vector<double> losses(const TuneTrace& trace, TuneMeasure measure) {
  std::vector<double> out;
  const OuterPoint* best = nullptr;
  for (const OuterPoint& point : trace.points) {
    const bool is_better = best == nullptr || is_lower(point.validation_loss, best->validation_loss);
    if (is_better || !is_search(trace.method)) best = &point;
    out.push_back(loss_of(*best, measure));
  }
  return out;
}

/// Quantiles of one method. A run that has ended, or has no finite loss, stays at its last point that has one.
TuneCurve curve_of(const std::string& method, const std::vector<TuneTrace>& traces, TuneMeasure measure,
                   const std::map<std::int64_t, double>& best) {
  std::size_t points = 0;
  for (const TuneTrace& trace : traces)
    if (trace.method == method) points = std::max(points, trace.points.size());
  std::vector<std::vector<double>> seconds(points), products(points), values(points);
  for (const TuneTrace& trace : traces) {
    if (trace.method != method) continue;
    const std::vector<double> loss = losses(trace, measure);
    const OuterPoint* held = nullptr;
    double distance = 0;
    for (std::size_t i = 0; i < points; ++i) {
      if (i < loss.size() && std::isfinite(loss[i] - best.at(trace.seed))) {
        held = &trace.points[i];
        distance = loss[i] - best.at(trace.seed);
      }
      if (held == nullptr) continue;
      seconds[i].push_back(held->seconds);
      products[i].push_back(static_cast<double>(held->count.inner_gradients + held->count.hessian_products));
      values[i].push_back(distance);
    }
  }
  TuneCurve curve{.method = method, .seconds = {}, .products = {}, .median = {}, .low = {}, .high = {}};
  for (std::size_t i = 0; i < points; ++i) {
    if (values[i].empty()) continue;
    curve.seconds.push_back(quantile(seconds[i], 0.5));
    curve.products.push_back(quantile(products[i], 0.5));
    curve.median.push_back(quantile(values[i], 0.5));
    curve.low.push_back(quantile(values[i], 0.25));
    curve.high.push_back(quantile(values[i], 0.75));
  }
  return curve;
}

}  // namespace

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

std::vector<TuneCurve> tune_curves(const std::vector<TuneTrace>& traces, TuneMeasure measure) {
  std::map<std::int64_t, double> best;
  std::vector<std::string> methods;
  for (const TuneTrace& trace : traces) {
    if (std::find(methods.begin(), methods.end(), trace.method) == methods.end()) methods.push_back(trace.method);
    double& least = best.emplace(trace.seed, std::numeric_limits<double>::infinity()).first->second;
    for (const double loss : losses(trace, measure)) least = loss < least ? loss : least;
  }
  std::vector<TuneCurve> out;
  for (const std::string& method : methods) out.push_back(curve_of(method, traces, measure, best));
  return out;
}

double cost_to_reach(const TuneCurve& curve, double level, TuneCost cost) {
  for (std::size_t i = 0; i < curve.median.size(); ++i)
    if (curve.median[i] <= level) return cost == TuneCost::seconds ? curve.seconds[i] : curve.products[i];
  return std::numeric_limits<double>::infinity();
}

}  // namespace deq
