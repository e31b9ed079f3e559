#include "train/chart.h"

#include <cairo-svg.h>
#include <cairo.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/error.h"
#include "train/chart_frame.h"
#include "train/chart_series.h"
#include "train/durable_file.h"

namespace deq {

namespace {

using Surface = std::unique_ptr<cairo_surface_t, decltype(&cairo_surface_destroy)>;
using Context = std::unique_ptr<cairo_t, decltype(&cairo_destroy)>;

constexpr int kPixelsPerUnit = 2;
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

void check_chart(const Chart& chart) {
  check(!chart.series.empty(), "chart", "'", chart.title, "' has no series");
  check(std::min(chart.width, chart.height) >= kSmallestExtent && std::max(chart.width, chart.height) <= kLargestExtent,
        "chart", "'", chart.title, "' is ", chart.width, " x ", chart.height, ", expected ", kSmallestExtent, " to ",
        kLargestExtent, " each way");
  for (const ChartSeries& series : chart.series) check_series(chart, series);
}

void draw(const Chart& chart, cairo_t* context) {
  Pen pen(context);
  const ChartFrame frame(chart, pen);
  frame.draw(pen);
  draw_series(chart, frame, pen);
  frame.draw_border(pen);
}

cairo_status_t append(void* text, const unsigned char* bytes, unsigned int count) {
  static_cast<std::string*>(text)->append(reinterpret_cast<const char*>(bytes), count);
  return CAIRO_STATUS_SUCCESS;
}

void check_status(cairo_status_t status) {
  check(status == CAIRO_STATUS_SUCCESS, "chart", "cannot be drawn: ", cairo_status_to_string(status));
}

/// Text measured without hinting is the same at every scale.
void set_metrics(cairo_t* context) {
  cairo_font_options_t* options = cairo_font_options_create();
  cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
  cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
  cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
  cairo_set_font_options(context, options);
  cairo_font_options_destroy(options);
}

std::string png_of(const Chart& chart) {
  const Surface surface(
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, kPixelsPerUnit * chart.width, kPixelsPerUnit * chart.height),
      &cairo_surface_destroy);
  const Context context(cairo_create(surface.get()), &cairo_destroy);
  cairo_scale(context.get(), kPixelsPerUnit, kPixelsPerUnit);
  set_metrics(context.get());
  draw(chart, context.get());
  check_status(cairo_status(context.get()));
  std::string out;
  check_status(cairo_surface_write_to_png_stream(surface.get(), append, &out));
  return out;
}

/// cairo numbers its surfaces over the life of the process; the name is of no use in a file of one surface.
std::string without_surface_number(std::string svg) {
  constexpr std::string_view kStart = "<g id=\"surface";
  const std::size_t start = svg.find(kStart);
  if (start == std::string::npos) return svg;
  const std::size_t digits = start + kStart.size();
  return svg.erase(digits, svg.find('"', digits) - digits);
}

std::string svg_of(const Chart& chart) {
  std::string out;
  const Surface surface(cairo_svg_surface_create_for_stream(append, &out, chart.width, chart.height),
                        &cairo_surface_destroy);
  {
    const Context context(cairo_create(surface.get()), &cairo_destroy);
    set_metrics(context.get());
    draw(chart, context.get());
    check_status(cairo_status(context.get()));
  }
  cairo_surface_finish(surface.get());
  check_status(cairo_surface_status(surface.get()));
  return without_surface_number(std::move(out));
}

}  // namespace

void write_chart(const Chart& chart, const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  check(extension == ".svg" || extension == ".png", path.string(), "has the extension '", extension,
        "', expected .svg or .png");
  check_chart(chart);
  write_durably(path, extension == ".svg" ? svg_of(chart) : png_of(chart));
}

}  // namespace deq
