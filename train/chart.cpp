#include "train/chart.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "train/chart_draw.h"
#include "train/chart_frame.h"
#include "train/chart_page.h"
#include "train/chart_series.h"
#include "train/durable_file.h"

namespace deq {

namespace {

constexpr int kSmallestExtent = 200;
constexpr int kLargestExtent = 8000;

void check_log(const std::vector<double>& values, const ChartAxis& axis, const ChartSeries& series) {
  if (!axis.is_log) return;
  for (std::size_t i = 0; i < values.size(); ++i)
    check(!(values[i] <= 0), "chart", "series '", series.name, "' is ", values[i], " at point ", i,
          ", which the logarithmic axis '", axis.label, "' cannot show");
}

void check_series(const Chart& chart, const ChartSeries& series) {
  const std::size_t size = series.y.size();
  const auto is_as_long = [&](std::size_t other) { return other == 0 || other == size; };
  check(series.x.size() == size && is_as_long(series.low.size()) && series.low.size() == series.high.size() &&
            is_as_long(series.labels.size()),
        "chart", "series '", series.name, "' has ", series.x.size(), " x, ", size, " y, ", series.low.size(), " low, ",
        series.high.size(), " high and ", series.labels.size(), " labels, expected lists of one length");
  bool has_point = false;
  for (std::size_t i = 0; i < size && !has_point; ++i)
    has_point = std::isfinite(series.x[i]) && std::isfinite(series.y[i]);
  check(has_point, "chart", "series '", series.name, "' has no finite point among ", size);
  check_log(series.x, chart.x, series);
  check_log(series.y, chart.y, series);
}

}  // namespace

void check_chart(const Chart& chart) {
  check(!chart.series.empty(), "chart", "'", chart.title, "' has no series");
  check(std::min(chart.width, chart.height) >= kSmallestExtent && std::max(chart.width, chart.height) <= kLargestExtent,
        "chart", "'", chart.title, "' is ", chart.width, " x ", chart.height, ", expected ", kSmallestExtent, " to ",
        kLargestExtent, " each way");
  for (const ChartSeries& series : chart.series) check_series(chart, series);
}

void draw_chart(const Chart& chart, cairo_t* context) {
  Pen pen(context);
  const ChartFrame frame(chart, pen);
  frame.draw(pen);
  draw_series(chart, frame, pen);
  frame.draw_border(pen);
}

void write_chart(const Chart& chart, const std::filesystem::path& path) {
  check_chart_path(path);
  check_chart(chart);
  const ChartPage page{chart.width, chart.height, [&chart](cairo_t* context) { draw_chart(chart, context); }};
  write_durably(path, path.extension() == ".svg" ? svg_of(page) : png_of(page));
}

}  // namespace deq
