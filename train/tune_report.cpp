#include "train/tune_report.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <ostream>

#include "core/counted.h"
#include "core/error.h"
#include "train/chart.h"
#include "train/durable_file.h"

namespace deq {
namespace {

using Json = nlohmann::ordered_json;

/// Added to sub-optimality in plots, where the best run would fall off the logarithmic axis.
constexpr double kPlotOffset = 1e-2;

TuneMeasure configured_measure(const TuneConfig& config, const std::vector<TuneTrace>& traces) {
  const bool has_test = std::any_of(traces.begin(), traces.end(), [](const TuneTrace& trace) {
    return std::isfinite(trace.points.front().test_loss);
  });
  return config.outer.measure == "test" && has_test ? TuneMeasure::test : TuneMeasure::validation;
}

std::string_view name_of(TuneMeasure measure) { return measure == TuneMeasure::test ? "test" : "validation"; }

/// Slow methods would squeeze the others into a corner: the axis ends at three times the middle one's end.
double axis_end(const std::vector<TuneCurve>& curves, TuneCost cost) {
  std::vector<double> ends;
  for (const TuneCurve& curve : curves) {
    const std::vector<double>& list = cost == TuneCost::seconds ? curve.seconds : curve.products;
    if (!list.empty()) ends.push_back(list.back());
  }
  return 1.03 * std::min(*std::max_element(ends.begin(), ends.end()), 3 * quantile(ends, 0.5));
}

Chart tune_chart(const TuneConfig& config, const std::vector<TuneCurve>& curves, TuneMeasure measure, TuneCost cost,
                 std::size_t seeds) {
  Chart chart{.title = concat(config.data.name, ": median and quartiles over ", seeds, seeds == 1 ? " seed" : " seeds"),
              .x = {.label = cost == TuneCost::seconds ? "seconds" : "inner gradients + Hessian products"},
              .y = {.label = concat(name_of(measure), " loss - best found"), .is_log = true},
              .series = {}};
  chart.x.range = ChartRange{0, std::max(axis_end(curves, cost), 1e-6)};
  for (const TuneCurve& curve : curves) {
    if (curve.median.empty()) continue;
    ChartSeries series{.name = curve.method, .x = cost == TuneCost::seconds ? curve.seconds : curve.products, .y = {}};
    const auto shifted = [](const std::vector<double>& list) {
      std::vector<double> out;
      for (const double value : list) out.push_back(value + kPlotOffset);
      return out;
    };
    series.y = shifted(curve.median);
    series.low = shifted(curve.low);
    series.high = shifted(curve.high);
    chart.series.push_back(std::move(series));
  }
  return chart;
}

std::size_t seed_count(const std::vector<TuneTrace>& traces) {
  std::vector<std::int64_t> seeds;
  for (const TuneTrace& trace : traces) seeds.push_back(trace.seed);
  std::sort(seeds.begin(), seeds.end());
  return static_cast<std::size_t>(std::unique(seeds.begin(), seeds.end()) - seeds.begin());
}

void write_charts(const TuneConfig& config, const std::vector<TuneTrace>& traces, TuneMeasure measure,
                  const std::filesystem::path& stem, const std::function<void(const std::string&)>& warn) {
  const std::vector<TuneCurve> curves = tune_curves(traces, measure);
  const bool has_points =
      std::any_of(curves.begin(), curves.end(), [](const TuneCurve& curve) { return !curve.median.empty(); });
  if (!has_points) return;
  for (const TuneCost cost : {TuneCost::seconds, TuneCost::products}) {
    const std::string file = concat(stem.string(), cost == TuneCost::seconds ? "" : "-products");
    try {
      const Chart chart = tune_chart(config, curves, measure, cost, seed_count(traces));
      for (const char* extension : {".svg", ".png"}) write_chart(chart, file + extension);
    } catch (const Error& failure) {
      warn(concat(file, ".svg and .png are missing: ", failure.what()));
    }
  }
}

/// Middle values over the seeds of one method.
struct MethodEnd {
  std::string method;
  int seeds = 0;
  int unfinished = 0;   ///< runs that did not reach their last point
  int unconverged = 0;  ///< inner solves that missed their tolerance
  double seconds = 0;
  double validation_loss = 0;
  double test_loss = 0;
  double lambda = 0;
  double cleaning_precision = 0;
};

MethodEnd method_end(const std::vector<TuneTrace>& traces, const std::string& method) {
  MethodEnd out{.method = method};
  std::vector<double> seconds, validation, test, lambda, precision;
  for (const TuneTrace& trace : traces) {
    if (trace.method != method) continue;
    ++out.seeds;
    out.unfinished += trace.status == "finished" || trace.status == "stationary" ? 0 : 1;
    out.unconverged += trace.unconverged();
    const OuterPoint& best = trace.best();
    seconds.push_back(trace.points.back().seconds);
    validation.push_back(best.validation_loss);
    test.push_back(best.test_loss);
    lambda.push_back(best.lambda[best.lambda.size() / 2]);
    if (trace.cleaning_precision) precision.push_back(*trace.cleaning_precision);
  }
  out.seconds = quantile(seconds, 0.5);
  out.validation_loss = quantile(validation, 0.5);
  out.test_loss = quantile(test, 0.5);
  out.lambda = quantile(lambda, 0.5);
  out.cleaning_precision = quantile(precision, 0.5);
  return out;
}

Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json levels_json(const TuneCurve& curve) {
  Json out = Json::object();
  for (const double level : kTuneLevels)
    out[concat(level)] = {{"seconds", number_or_null(cost_to_reach(curve, level, TuneCost::seconds))},
                          {"products", number_or_null(cost_to_reach(curve, level, TuneCost::products))}};
  return out;
}

/// The best point of each seed of a method, by the loss that is optimised.
Json best_json(const std::vector<TuneTrace>& traces, const std::string& method) {
  Json out = Json::array();
  for (const TuneTrace& trace : traces) {
    if (trace.method != method) continue;
    const OuterPoint& best = trace.best();
    out.push_back({{"seed", trace.seed},
                   {"outer", best.outer},
                   {"lambda", lambda_json(best.lambda, trace.lambda_size)},
                   {"validation_loss", number_or_null(best.validation_loss)},
                   {"test_loss", number_or_null(best.test_loss)}});
  }
  return out;
}

Json summary_json(const TuneConfig& config, const std::vector<TuneTrace>& traces) {
  Json methods = Json::object();
  for (const TuneMeasure measure : {TuneMeasure::validation, TuneMeasure::test})
    for (const TuneCurve& curve : tune_curves(traces, measure)) {
      Json& entry = methods[curve.method];
      const MethodEnd end = method_end(traces, curve.method);
      entry["seeds"] = end.seeds;
      entry["unfinished"] = end.unfinished;
      entry["unconverged_inner_solves"] = end.unconverged;
      entry["seconds"] = end.seconds;
      entry["best_validation_loss"] = number_or_null(end.validation_loss);
      entry["test_loss"] = number_or_null(end.test_loss);
      entry["lambda"] = number_or_null(end.lambda);
      entry["best"] = best_json(traces, curve.method);
      if (std::isfinite(end.cleaning_precision)) entry["cleaning_precision"] = end.cleaning_precision;
      entry[concat(name_of(measure), "_suboptimality")] = {
          {"to_reach", levels_json(curve)}, {"median", curve.median},   {"lower_quartile", curve.low},
          {"upper_quartile", curve.high},   {"seconds", curve.seconds}, {"products", curve.products}};
    }
  return {{"data", config.data.name},
          {"problem", config.problem.name},
          {"measure", name_of(configured_measure(config, traces))},
          {"methods", methods}};
}

std::string cost_text(const TuneCurve& curve, double level) {
  const double seconds = cost_to_reach(curve, level, TuneCost::seconds);
  if (!std::isfinite(seconds)) return "-";
  std::ostringstream out;
  out << std::fixed << std::setprecision(seconds < 10 ? 2 : 1) << seconds << " s/" << std::setprecision(0)
      << cost_to_reach(curve, level, TuneCost::products);
  return out.str();
}

}  // namespace

void write_tune_summary(const TuneConfig& config, const std::vector<TuneTrace>& traces,
                        const std::filesystem::path& out) {
  write_durably(out / "summary.json", summary_json(config, traces).dump(1) + "\n");
}

void write_tune_charts(const TuneConfig& config, const std::vector<TuneTrace>& traces, const std::filesystem::path& out,
                       const std::function<void(const std::string&)>& warn) {
  const TuneMeasure measure = configured_measure(config, traces);
  const TuneMeasure other = measure == TuneMeasure::test ? TuneMeasure::validation : TuneMeasure::test;
  write_charts(config, traces, measure, out / "suboptimality", warn);
  write_charts(config, traces, other, out / concat("suboptimality-", name_of(other)), warn);
}

void print_tune_report(std::ostream& out, const TuneConfig& config, const std::vector<TuneTrace>& traces) {
  const TuneMeasure measure = configured_measure(config, traces);
  out << "seconds / products until the median " << name_of(measure) << " loss is within a distance of the best found\n"
      << std::left << std::setw(18) << "method" << std::setw(15) << "10" << std::setw(15) << "5" << std::setw(15) << "2"
      << std::setw(12) << "seconds" << std::setw(12) << "validation" << std::setw(12) << "test"
      << "lambda\n";
  for (const TuneCurve& curve : tune_curves(traces, measure)) {
    const MethodEnd end = method_end(traces, curve.method);
    out << std::left << std::setw(18) << curve.method;
    for (const double level : {10.0, 5.0, 2.0}) out << std::setw(15) << cost_text(curve, level);
    out << std::setprecision(4) << std::setw(12) << end.seconds << std::setprecision(6) << std::setw(12)
        << end.validation_loss << std::setw(12) << end.test_loss << std::setprecision(3) << end.lambda;
    if (std::isfinite(end.cleaning_precision)) out << "  precision " << end.cleaning_precision;
    if (end.unconverged > 0) out << "  (" << end.unconverged << " inner solves missed their tolerance)";
    if (end.unfinished > 0) out << "  (" << counted(end.unfinished, "run") << " ended early)";
    out << "\n";
  }
}

Json traces_json(const std::vector<TuneTrace>& traces) {
  Json out = Json::object();
  for (const TuneTrace& trace : traces) out[trace.method][std::to_string(trace.seed)] = points_json(trace);
  return out;
}

}  // namespace deq
