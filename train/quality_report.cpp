#include "train/quality_report.h"

#include <algorithm>
#include <array>
#include <iomanip>
#include <ostream>

#include "core/error.h"
#include "train/chart.h"
#include "train/durable_file.h"
#include "train/interrupt.h"
#include "train/tune_statistics.h"

namespace deq {
namespace {

using Json = nlohmann::ordered_json;

// Window of the published plot (SHINE, figure 2 right).
constexpr ChartRange kRatioWindow{0.985, 1.10};
constexpr ChartRange kCosineWindow{0.994, 1.0005};
constexpr std::array kDirections = {ProbedDirection::prescribed, ProbedDirection::krylov, ProbedDirection::random};

struct Series {
  std::string name;
  std::vector<double> ratio, cosine, error;

  [[nodiscard]] double share_in_window() const {
    std::size_t inside = 0;
    for (std::size_t i = 0; i < ratio.size(); ++i) {
      const bool is_inside = ratio[i] >= kRatioWindow.low && ratio[i] <= kRatioWindow.high &&
                             cosine[i] >= kCosineWindow.low && cosine[i] <= kCosineWindow.high;
      inside += is_inside ? 1U : 0U;
    }
    return static_cast<double>(inside) / static_cast<double>(std::max<std::size_t>(1, ratio.size()));
  }
};

Series series_of(const InverseQualityResult& result, ProbedDirection direction, const std::string& suffix) {
  Series out{.name = concat(name_of(direction), suffix), .ratio = {}, .cosine = {}, .error = {}};
  for (const InverseQuality& point : result.points) {
    if (point.direction != direction) continue;
    out.ratio.push_back(point.ratio);
    out.cosine.push_back(point.cosine);
    out.error.push_back(point.error);
  }
  return out;
}

std::vector<Series> all_series(const QualityReport& report) {
  std::vector<Series> out;
  for (const ProbedDirection direction : kDirections) out.push_back(series_of(report.aware, direction, ""));
  out.push_back(series_of(report.plain, ProbedDirection::prescribed, " without OPA"));
  return out;
}

/// @param is_zoomed  the published window, else all points
Chart quality_chart(const QualityReport& report, bool is_zoomed) {
  Chart chart{
      .title = "B^-1 x against H^-1 x", .x = {.label = "|B^-1 x| / |H^-1 x|"}, .y = {.label = "cosine"}, .series = {}};
  if (is_zoomed) {
    chart.x.range = kRatioWindow;
    chart.y.range = kCosineWindow;
  }
  for (const Series& series : all_series(report))
    chart.series.push_back({.name = series.name, .x = series.ratio, .y = series.cosine, .style = SeriesStyle::points});
  return chart;
}

}  // namespace

QualityReport measure_quality(const TuneConfig& config, const TuneData& data) {
  const TuneQualityConfig& quality = config.quality;
  const TuneTask task = data.part(quality.train_fraction, static_cast<std::uint32_t>(quality.split_seed));
  const std::unique_ptr<BilevelProblem> problem = task.make_problem();
  const std::vector<double> lambda(task.lambda.size(), quality.lambda);
  InverseQualityOptions options{.runs = quality.runs,
                                .memory = quality.memory,
                                .solver = {.tolerance = quality.tolerance},
                                .period = quality.period,
                                .seed = static_cast<std::uint64_t>(quality.seed),
                                .before_run = stop_if_interrupted};
  options.solver.line_search.curvature = quality.curvature;
  options.solver.max_iterations = config.inner.max_iterations;
  QualityReport out{.aware = measure_inverse_quality(*problem, lambda, options), .plain = {}, .rows = task.train_rows};
  options.period = 0;
  out.plain = measure_inverse_quality(*problem, lambda, options);
  return out;
}

Json quality_json(const QualityReport& report) {
  Json series = Json::array();
  for (const Series& one : all_series(report))
    series.push_back({{"name", one.name},
                      {"runs", one.error.size()},
                      {"error_median", quantile(one.error, 0.5)},
                      {"error_p90", quantile(one.error, 0.9)},
                      {"ratio_median", quantile(one.ratio, 0.5)},
                      {"cosine_median", quantile(one.cosine, 0.5)},
                      {"cosine_min", quantile(one.cosine, 0)},
                      {"inside_window", one.share_in_window()}});
  return {{"rows", report.rows},
          {"unconverged", report.aware.unconverged + report.plain.unconverged},
          {"window",
           {{"ratio", {kRatioWindow.low, kRatioWindow.high}}, {"cosine", {kCosineWindow.low, kCosineWindow.high}}}},
          {"series", series}};
}

void write_quality_report(const QualityReport& report, const std::filesystem::path& out) {
  write_durably(out / "inverse-quality.json", quality_json(report).dump(1) + "\n");
  for (const char* extension : {".svg", ".png"}) {
    write_chart(quality_chart(report, true), out / concat("inverse-quality", extension));
    write_chart(quality_chart(report, false), out / concat("inverse-quality-all", extension));
  }
}

void print_quality(std::ostream& out, const QualityReport& report) {
  out << report.rows << " training samples\n"
      << "direction               error median  p90         ratio median  cosine min  inside the window\n";
  for (const Series& one : all_series(report))
    out << std::left << std::setprecision(4) << std::setw(24) << one.name << std::setw(14) << quantile(one.error, 0.5)
        << std::setw(12) << quantile(one.error, 0.9) << std::setw(14) << quantile(one.ratio, 0.5) << std::setw(12)
        << quantile(one.cosine, 0) << 100 * one.share_in_window() << " %\n";
}

}  // namespace deq
