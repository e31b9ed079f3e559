#include "train/audit_chart.h"

#include <cmath>
#include <iomanip>
#include <sstream>

#include "core/error.h"

namespace deq {
namespace {

/// The name without its number of steps.
std::string family_of(const std::string& name) {
  const std::size_t dash = name.find_last_of('-');
  const bool is_counted = dash != std::string::npos && dash + 1 < name.size() &&
                          name.find_first_not_of("0123456789", dash + 1) == std::string::npos;
  return is_counted ? name.substr(0, dash) : name;
}

double cost_of(const EstimatorAudit& entry) { return 1.0 + entry.vjp_calls; }

bool is_drawable(const EstimatorAudit& entry) {
  return std::isfinite(entry.relative_error) && entry.relative_error > 0;
}

}  // namespace

Chart audit_chart(const AuditResult& result) {
  Chart chart{
      .title = "Gradient error against cost",
      .x = {.label = "backward passes through f: products with J^T, in the forward too, and one for the parameters",
            .is_log = true},
      .y = {.label = "relative error of the gradient", .is_log = true},
      .series = {}};
  for (const EstimatorAudit& entry : result.estimators) {
    if (!is_drawable(entry)) {
      std::ostringstream exact;
      exact << "; " << entry.name << ": " << std::setprecision(3) << cost_of(entry);
      chart.title += exact.str();
      continue;
    }
    const std::string family = family_of(entry.name);
    if (chart.series.empty() || chart.series.back().name != family) {
      chart.series.push_back({.name = family, .x = {}, .y = {}});
      chart.series.back().style = SeriesStyle::points;
    }
    ChartSeries& series = chart.series.back();
    series.x.push_back(cost_of(entry));
    series.y.push_back(entry.relative_error);
    series.labels.push_back(entry.name);
  }
  check(!chart.series.empty(), "audit", "no estimator has an error above zero, so there is nothing to plot");
  return chart;
}

}  // namespace deq
