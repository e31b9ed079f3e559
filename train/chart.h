#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace deq {

struct ChartRange {
  double low = 0;
  double high = 1;
};

struct ChartAxis {
  std::string label;
  bool is_log = false;
  std::optional<ChartRange> range = std::nullopt;  ///< default: what the data needs, with a margin
};

enum class SeriesStyle : std::uint8_t {
  line,    ///< points joined in the order given, markers while they are few; `low` and `high` are a band
  points,  ///< markers alone; `low` and `high` are whiskers, `labels` stand beside the points
  bars,    ///< from zero (on a log axis from its lower end); whiskers; `labels` replace the ticks of the x axis
};

/// Points of one name and colour. A coordinate that is not finite leaves a gap.
struct ChartSeries {
  std::string name;  ///< in the legend; empty: not listed
  std::vector<double> x;
  std::vector<double> y;
  std::vector<double> low = {};  ///< with `high`: a band or whiskers in y; both empty or as long as `y`
  std::vector<double> high = {};
  SeriesStyle style = SeriesStyle::line;
  std::vector<std::string> labels = {};            ///< empty or as long as `y`
  std::optional<std::size_t> look = std::nullopt;  ///< number of its colour and marker; default: its place in the chart
  bool is_faint = false;                           ///< of a line: thin, pale and without markers
  bool is_dashed = false;                          ///< of a line
};

/// A place on the x axis with a name, drawn as a vertical line behind the data.
struct ChartMark {
  double x = 0;
  std::string text;
};

/// A chart with two axes. Colours are the palette of Okabe and Ito, which the colour-blind can tell apart; markers
/// differ as well. The legend stands beside or above the plot, so it never covers data.
struct Chart {
  std::string title;
  ChartAxis x;
  ChartAxis y;
  std::vector<ChartSeries> series;
  int width = 820;  ///< units: SVG user units; a PNG has two pixels for each
  int height = 480;
  std::vector<ChartMark> marks = {};
  bool has_legend_above = false;  ///< in rows between title and plot
};

/// Writes `chart` to `path`, an .svg or a .png by its extension, so that a kill leaves the old or the new file. The
/// same chart gives the same bytes with the same fonts; in an SVG text is drawn as outlines and needs no font.
/// Errors: Error for another extension, no series, a series of unequal lists or without a finite point, a value
/// that is not positive on a log axis, an empty range, a path that cannot be written.
void write_chart(const Chart& chart, const std::filesystem::path& path);

}  // namespace deq
