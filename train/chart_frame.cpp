#include "train/chart_frame.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "train/chart_series.h"

namespace deq {

namespace {

constexpr double kTitleSize = 15;
constexpr double kLabelSize = 13;
constexpr double kTickSize = 12;
constexpr double kLegendSize = 12;
constexpr double kMarkSize = 10;
constexpr Colour kMark{0.55, 0.55, 0.55};
constexpr double kGap = 8;
constexpr double kEdge = 14;
constexpr double kLegendLine = 21;
constexpr double kLegendKey = 30;  // length of the stroke before a name
constexpr double kTurn = 32;       // degrees

bool has_bars(const Chart& chart) {
  return std::any_of(chart.series.begin(), chart.series.end(),
                     [](const ChartSeries& series) { return series.style == SeriesStyle::bars; });
}

void include(ChartRange& range, double value, bool is_log) {
  if (!std::isfinite(value) || (is_log && value <= 0)) return;
  range = {std::min(range.low, value), std::max(range.high, value)};
}

constexpr double kInfinity = std::numeric_limits<double>::infinity();

ChartRange x_range(const Chart& chart) {
  ChartRange out{kInfinity, -kInfinity};
  for (const ChartSeries& series : chart.series)
    for (std::size_t i = 0; i < series.x.size(); ++i)
      if (std::isfinite(series.y[i])) include(out, series.x[i], chart.x.is_log);
  if (has_bars(chart)) out = {out.low - 0.6, out.high + 0.6};
  return out;
}

ChartRange y_range(const Chart& chart) {
  ChartRange out{kInfinity, -kInfinity};
  for (const ChartSeries& series : chart.series) {
    for (const std::vector<double>* list : {&series.y, &series.low, &series.high})
      for (const double value : *list) include(out, value, chart.y.is_log);
    if (series.style == SeriesStyle::bars && !chart.y.is_log) include(out, 0, false);
  }
  return out;
}

/// The axis of a chart with bars ends half a slot beside the outer bars.
ChartAxis x_axis(const Chart& chart, ChartRange data) {
  ChartAxis out = chart.x;
  if (has_bars(chart) && !out.range && !out.is_log) out.range = data;
  return out;
}

/// Labels of bars stand where numbers would.
std::vector<ChartTick> x_ticks(const Chart& chart, const ChartScale& scale) {
  std::vector<ChartTick> out;
  for (const ChartSeries& series : chart.series) {
    if (series.style != SeriesStyle::bars || series.labels.empty() || !out.empty()) continue;
    for (std::size_t i = 0; i < series.x.size(); ++i) out.push_back({series.x[i], series.labels[i], ""});
  }
  return out.empty() ? scale.ticks() : out;
}

double widest(const std::vector<ChartTick>& ticks, Pen& pen) {
  double out = 0;
  for (const ChartTick& tick : ticks) out = std::max(out, pen.text_width(tick.text, tick.exponent));
  return out;
}

}  // namespace

ChartFrame::ChartFrame(const Chart& chart, Pen& pen)
    : chart_(chart),
      x_(x_axis(chart, x_range(chart)), x_range(chart)),
      y_(chart.y, y_range(chart)),
      x_ticks_(x_ticks(chart, x_)),
      y_ticks_(y_.ticks()) {
  pen.font(kTickSize);
  const double y_width = widest(y_ticks_, pen);
  const double x_width = widest(x_ticks_, pen);

  plot_.left = kEdge + (chart.y.label.empty() ? 0 : kLabelSize + kGap) + y_width + kGap;
  plot_.width = chart.width - plot_.left - kEdge - kGap;
  place_legend(pen);
  if (!chart.has_legend_above) plot_.width -= legend_width_;
  plot_.top = kEdge + (chart.title.empty() ? 0 : kTitleSize + kGap) + (chart.has_legend_above ? legend_height_ : 0);
  y_label_x_ = kEdge + kLabelSize / 2;
  has_turned_labels_ =
      x_ticks_.size() > 1 && has_bars(chart) && x_width + kGap > plot_.width / static_cast<double>(x_ticks_.size());
  const double x_height = has_turned_labels_ ? x_width * std::sin(kTurn * 3.14159 / 180) + kTickSize : kTickSize;
  const double below = kGap + x_height + (chart.x.label.empty() ? 0 : kGap + kLabelSize) + kEdge;
  plot_.height = chart.height - plot_.top - below;
}

Point ChartFrame::at(double x, double y) const {
  const auto position = [](const ChartScale& scale, double value) {
    return scale.is_log() && value <= 0 ? 0.0 : scale.position(value);
  };
  return {plot_.left + position(x_, x) * plot_.width, plot_.bottom() - position(y_, y) * plot_.height};
}

void ChartFrame::draw(Pen& pen) const {
  pen.rectangle({0, 0, static_cast<double>(chart_.width), static_cast<double>(chart_.height)}, {1, 1, 1});
  draw_x_axis(pen);
  draw_y_axis(pen);
  pen.font(kTitleSize, true);
  pen.text({plot_.left, kEdge}, {0, 0}, chart_.title);
  draw_legend(pen);
  draw_marks(pen);
}

void ChartFrame::draw_border(Pen& pen) const {
  pen.line({plot_.left, plot_.top}, {plot_.left, plot_.bottom()}, kInk, 1);
  pen.line({plot_.left, plot_.bottom()}, {plot_.right(), plot_.bottom()}, kInk, 1);
}

void ChartFrame::draw_x_axis(Pen& pen) const {
  pen.font(kTickSize);
  const bool has_grid = !has_bars(chart_);
  double previous_end = -kInfinity;
  for (const ChartTick& tick : x_ticks_) {
    const double x = at(tick.value, y_.range().low).x;
    const bool is_numbered = !tick.text.empty();
    if (has_grid && is_numbered) pen.line({x, plot_.top}, {x, plot_.bottom()}, kGrid, 1);
    if (has_grid) pen.line({x, plot_.bottom()}, {x, plot_.bottom() + (is_numbered ? 5 : 3)}, kInk, 1);
    if (has_turned_labels_) {
      pen.turned_text({x + 3, plot_.bottom() + kGap}, {1, 0}, kTurn, tick.text);
      continue;
    }
    const double half = pen.text_width(tick.text, tick.exponent) / 2;
    if (!is_numbered || x - half < previous_end) continue;
    pen.text({x, plot_.bottom() + kGap}, {0.5, 0}, tick.text, tick.exponent);
    previous_end = x + half + kGap / 2;
  }
  pen.font(kLabelSize);
  pen.text({plot_.left + plot_.width / 2, chart_.height - kEdge}, {0.5, 1}, chart_.x.label);
}

void ChartFrame::draw_y_axis(Pen& pen) const {
  pen.font(kTickSize);
  double previous_top = kInfinity;
  for (const ChartTick& tick : y_ticks_) {
    const double y = at(x_.range().low, tick.value).y;
    const bool is_numbered = !tick.text.empty();
    if (is_numbered) pen.line({plot_.left, y}, {plot_.right(), y}, kGrid, 1);
    pen.line({plot_.left - (is_numbered ? 5 : 3), y}, {plot_.left, y}, kInk, 1);
    if (!is_numbered || y + kTickSize / 2 > previous_top) continue;
    pen.text({plot_.left - kGap, y}, {1, 0.5}, tick.text, tick.exponent);
    previous_top = y - kTickSize / 2;
  }
  pen.font(kLabelSize);
  pen.turned_text({y_label_x_, plot_.top + plot_.height / 2}, {0.5, 0.5}, 90, chart_.y.label);
}

void ChartFrame::draw_marks(Pen& pen) const {
  pen.font(kMarkSize);
  for (const ChartMark& mark : chart_.marks) {
    const double x = at(mark.x, y_.range().low).x;
    pen.path({{x, plot_.top}, {x, plot_.bottom()}}, {.colour = kMark, .marker = 0, .dashes = {3, 3}}, 1.2);
    pen.text({x + kGap / 2, plot_.top + 2}, {0, 0}, mark.text);
  }
}

void ChartFrame::place_legend(Pen& pen) {
  const auto is_named = [](const ChartSeries& series) { return !series.name.empty(); };
  const std::vector<ChartSeries>& all = chart_.series;
  if (all.size() < 2 || std::none_of(all.begin(), all.end(), is_named)) return;
  pen.font(kLegendSize);
  Point next{0, 0};
  double widest_name = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].name.empty()) continue;
    const double name = pen.text_width(all[i].name);
    const double width = kLegendKey + 3 * kGap + name;
    if (chart_.has_legend_above && next.x > 0 && next.x + width > plot_.width) next = {0, next.y + kLegendLine};
    legend_.push_back({i, next});
    widest_name = std::max(widest_name, name);
    next = chart_.has_legend_above ? Point{next.x + width, next.y} : Point{0, next.y + kLegendLine};
  }
  legend_width_ = widest_name + kLegendKey + 3 * kGap;
  legend_height_ = legend_.back().at.y + kLegendLine + kGap / 2;
}

void ChartFrame::draw_legend(Pen& pen) const {
  pen.font(kLegendSize);
  const Point corner = chart_.has_legend_above ? Point{plot_.left, plot_.top - legend_height_}
                                               : Point{plot_.right() + 2 * kGap, plot_.top};
  for (const LegendEntry& entry : legend_) {
    const ChartSeries& series = chart_.series[entry.series];
    const SeriesLook look = look_of(series, entry.series);
    const double left = corner.x + entry.at.x;
    const double y = corner.y + entry.at.y + kLegendLine / 2;
    const double middle = left + kLegendKey / 2;
    switch (series.style) {
      case SeriesStyle::line: pen.path({{left, y}, {left + kLegendKey, y}}, look, 2); [[fallthrough]];
      case SeriesStyle::points: pen.marker({middle, y}, look, 4); break;
      case SeriesStyle::bars: pen.rectangle({middle - 7, y - 6, 14, 12}, look.colour); break;
    }
    pen.text({left + kLegendKey + kGap, y}, {0, 0.5}, series.name);
  }
}

}  // namespace deq
