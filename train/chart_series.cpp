#include "train/chart_series.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace deq {

namespace {

constexpr double kLineWidth = 2;
constexpr double kFaintWidth = 1;
constexpr double kFaintOpacity = 0.3;
constexpr double kMarkerRadius = 3.4;
constexpr double kPointRadius = 4.2;
constexpr std::size_t kMostMarkers = 40;  // of a line; more would hide it
constexpr double kBandOpacity = 0.17;
constexpr double kBarsShare = 0.8;  // of a slot that its bars fill
constexpr double kLabelSize = 11;

bool is_drawn(const ChartSeries& series, std::size_t i) {
  return std::isfinite(series.x[i]) && std::isfinite(series.y[i]);
}

void draw_band(const ChartSeries& series, const SeriesLook& look, const ChartFrame& frame, Pen& pen) {
  std::vector<Point> outline;
  std::vector<Point> back;
  for (std::size_t i = 0; i < series.low.size(); ++i) {
    if (!is_drawn(series, i) || !std::isfinite(series.low[i]) || !std::isfinite(series.high[i])) continue;
    outline.push_back(frame.at(series.x[i], series.high[i]));
    back.push_back(frame.at(series.x[i], series.low[i]));
  }
  outline.insert(outline.end(), back.rbegin(), back.rend());
  pen.area(outline, look.colour.faded(kBandOpacity));
}

void draw_line(const ChartSeries& series, const SeriesLook& look, const ChartFrame& frame, Pen& pen) {
  std::vector<Point> piece;
  for (std::size_t i = 0; i <= series.y.size(); ++i) {
    if (i < series.y.size() && is_drawn(series, i)) {
      piece.push_back(frame.at(series.x[i], series.y[i]));
      continue;
    }
    pen.path(piece, look, series.is_faint ? kFaintWidth : kLineWidth);
    piece.clear();
  }
  if (series.is_faint || series.y.size() > kMostMarkers) return;
  for (std::size_t i = 0; i < series.y.size(); ++i)
    if (is_drawn(series, i)) pen.marker(frame.at(series.x[i], series.y[i]), look, kMarkerRadius);
}

void draw_whisker(double x, Point low, Point high, Colour colour, Pen& pen) {
  constexpr double kCap = 4;
  pen.line({x, low.y}, {x, high.y}, colour, 1.4);
  pen.line({x - kCap, low.y}, {x + kCap, low.y}, colour, 1.4);
  pen.line({x - kCap, high.y}, {x + kCap, high.y}, colour, 1.4);
}

void draw_points(const ChartSeries& series, const SeriesLook& look, const ChartFrame& frame, Pen& pen) {
  SeriesLook seen = look;
  // Where many points lie on each other, density shows.
  if (series.y.size() > kMostMarkers) seen.colour = look.colour.faded(0.55);
  for (std::size_t i = 0; i < series.y.size(); ++i) {
    if (!is_drawn(series, i)) continue;
    const Point point = frame.at(series.x[i], series.y[i]);
    if (!series.low.empty())
      draw_whisker(point.x, frame.at(series.x[i], series.low[i]), frame.at(series.x[i], series.high[i]), look.colour,
                   pen);
    pen.marker(point, seen, kPointRadius);
  }
}

/// @param slot  position of this series among `of` series of bars
void draw_bars(const ChartSeries& series, const SeriesLook& look, std::size_t slot, std::size_t of,
               const ChartFrame& frame, Pen& pen) {
  const double width = kBarsShare / static_cast<double>(of);
  const double base = frame.y().is_log() ? frame.y().range().low : 0;
  for (std::size_t i = 0; i < series.y.size(); ++i) {
    if (!is_drawn(series, i)) continue;
    const double left = series.x[i] - kBarsShare / 2 + static_cast<double>(slot) * width;
    const Point foot = frame.at(left, base);
    const Point top = frame.at(left + width, series.y[i]);
    pen.rectangle({foot.x, std::min(foot.y, top.y), top.x - foot.x, std::abs(foot.y - top.y)}, look.colour);
    if (series.low.empty()) continue;
    draw_whisker((foot.x + top.x) / 2, frame.at(left, series.low[i]), frame.at(left, series.high[i]), kInk, pen);
  }
}

/// Finds room for the labels of points: beside, above or below, not on a marker or on another label if possible.
class Labels {
 public:
  Labels(const Chart& chart, const ChartFrame& frame) : plot_(frame.plot()) {
    for (const ChartSeries& series : chart.series)
      for (std::size_t i = 0; i < series.y.size(); ++i)
        if (is_drawn(series, i)) {
          const Point at = frame.at(series.x[i], series.y[i]);
          taken_.push_back({at.x - kPointRadius, at.y - kPointRadius, 2 * kPointRadius, 2 * kPointRadius});
        }
  }

  void place(Point at, const std::string& text, Pen& pen) {
    constexpr double kOff = 8;
    const double width = pen.text_width(text);
    const std::array<std::pair<Point, Anchor>, 8> places = {{{{at.x + kOff, at.y}, {0, 0.5}},
                                                             {{at.x - kOff, at.y}, {1, 0.5}},
                                                             {{at.x, at.y - kOff}, {0.5, 1}},
                                                             {{at.x, at.y + kOff}, {0.5, 0}},
                                                             {{at.x + kOff, at.y - kOff}, {0, 1}},
                                                             {{at.x + kOff, at.y + kOff}, {0, 0}},
                                                             {{at.x - kOff, at.y - kOff}, {1, 1}},
                                                             {{at.x - kOff, at.y + kOff}, {1, 0}}}};
    const auto box = [&](const std::pair<Point, Anchor>& place) {
      return Rectangle{place.first.x - place.second.x * width, place.first.y - place.second.y * kLabelSize, width,
                       kLabelSize};
    };
    const auto is_free = [&](const std::pair<Point, Anchor>& place) {
      const Rectangle wanted = box(place);
      const bool is_inside = wanted.left >= plot_.left && wanted.right() <= plot_.right() && wanted.top >= plot_.top &&
                             wanted.bottom() <= plot_.bottom();
      return is_inside &&
             std::none_of(taken_.begin(), taken_.end(), [&](const Rectangle& other) { return other.overlaps(wanted); });
    };
    const auto* found = std::find_if(places.begin(), places.end(), is_free);
    const auto& chosen = found == places.end() ? places.front() : *found;
    pen.text(chosen.first, chosen.second, text);
    taken_.push_back(box(chosen));
  }

 private:
  Rectangle plot_;
  std::vector<Rectangle> taken_;
};

void draw_labels(const Chart& chart, const ChartFrame& frame, Pen& pen) {
  pen.font(kLabelSize);
  Labels labels(chart, frame);
  for (const ChartSeries& series : chart.series) {
    if (series.style == SeriesStyle::bars) continue;
    for (std::size_t i = 0; i < series.labels.size(); ++i)
      if (is_drawn(series, i) && !series.labels[i].empty())
        labels.place(frame.at(series.x[i], series.y[i]), series.labels[i], pen);
  }
}

}  // namespace

SeriesLook look_of(const ChartSeries& series, std::size_t place) {
  SeriesLook look = series_look(series.look.value_or(place));
  if (series.is_faint) look.colour = look.colour.faded(kFaintOpacity);
  if (series.is_dashed) look.dashes = {5, 4};
  return look;
}

void draw_series(const Chart& chart, const ChartFrame& frame, Pen& pen) {
  const auto is_bars = [](const ChartSeries& series) { return series.style == SeriesStyle::bars; };
  const auto bars = static_cast<std::size_t>(std::count_if(chart.series.begin(), chart.series.end(), is_bars));
  pen.clip(frame.plot());
  for (std::size_t i = 0; i < chart.series.size(); ++i)
    if (chart.series[i].style == SeriesStyle::line) draw_band(chart.series[i], look_of(chart.series[i], i), frame, pen);
  std::size_t slot = 0;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const ChartSeries& series = chart.series[i];
    switch (series.style) {
      case SeriesStyle::line: draw_line(series, look_of(series, i), frame, pen); break;
      case SeriesStyle::points: draw_points(series, look_of(series, i), frame, pen); break;
      case SeriesStyle::bars: draw_bars(series, look_of(series, i), slot++, bars, frame, pen); break;
    }
  }
  pen.end_clip();
  draw_labels(chart, frame, pen);
}

}  // namespace deq
