#include "train/chart.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/train/temporary_folder.h"
#include "train/chart_scale.h"

namespace deq {

using test::contains;
using test::message_of;
using test::read_text;
using test::TemporaryFolder;

namespace {

Chart decay_chart() {
  Chart chart{.title = "Sub-optimality",
              .x = {.label = "seconds"},
              .y = {.label = "validation loss - best", .is_log = true},
              .series = {}};
  for (int method = 0; method < 3; ++method) {
    ChartSeries series{.name = concat("method ", method), .x = {}, .y = {}};
    for (int i = 0; i < 30; ++i) {
      const double value = 600 * std::exp(-0.1 * (method + 1) * i);
      series.x.push_back(0.5 * i);
      series.y.push_back(value);
      series.low.push_back(value / 2);
      series.high.push_back(value * 2);
    }
    chart.series.push_back(series);
  }
  return chart;
}

std::vector<std::string> numbered(const ChartScale& scale) {
  std::vector<std::string> out;
  for (const ChartTick& tick : scale.ticks())
    if (!tick.text.empty()) out.push_back(tick.text + (tick.exponent.empty() ? "" : "^" + tick.exponent));
  return out;
}

std::string refusal(const Chart& chart) {
  const TemporaryFolder folder;
  const auto file = folder.path() / "chart.svg";
  const std::string message = message_of<Error>([&] { write_chart(chart, file); });
  CHECK_FALSE(std::filesystem::exists(file));
  return message;
}

}  // namespace

TEST_CASE("a chart is written as SVG and PNG, and the same chart gives the same bytes") {
  const TemporaryFolder folder;
  for (const char* name : {"chart.svg", "chart.png"}) {
    const auto file = folder.path() / name;
    write_chart(decay_chart(), file);
    const std::string first = read_text(file);
    CHECK(contains(first.substr(0, 200), file.extension() == ".svg" ? "<svg" : "PNG"));
    write_chart(decay_chart(), file);
    CHECK(first == read_text(file));
  }
  CHECK(test::files_in(folder.path()) == std::vector<std::string>{"chart.png", "chart.svg"});
}

TEST_CASE("every style of series is drawn, with gaps where values are missing") {
  const TemporaryFolder folder;
  const double gap = std::numeric_limits<double>::quiet_NaN();
  Chart chart{.title = "", .x = {.label = ""}, .y = {.label = ""}, .series = {}};
  chart.series = {{.name = "bars",
                   .x = {0, 1, 2},
                   .y = {1, gap, 3},
                   .low = {0.5, gap, 2},
                   .high = {2, gap, 4},
                   .style = SeriesStyle::bars,
                   .labels = {"a", "b", "a label that needs more room than its bar has, so that all are turned"}},
                  {.name = "points", .x = {0, 1}, .y = {2, -1}, .style = SeriesStyle::points, .labels = {"p", "q"}},
                  {.name = "", .x = {0, 1, 2}, .y = {1, gap, 2}}};
  const auto file = folder.path() / "chart.svg";
  write_chart(chart, file);
  CHECK(contains(read_text(file), "</svg>"));
}

TEST_CASE("ticks of a linear axis are round numbers inside the range") {
  CHECK(numbered(ChartScale({.label = "", .range = ChartRange{0, 10}}, {})) ==
        std::vector<std::string>{"0", "2", "4", "6", "8", "10"});
  CHECK(numbered(ChartScale({.label = "", .range = ChartRange{-0.11, 0.23}}, {})) ==
        std::vector<std::string>{"-0.1", "0.0", "0.1", "0.2"});
  CHECK(numbered(ChartScale({.label = "", .range = ChartRange{0.995, 1.0005}}, {})) ==
        std::vector<std::string>{"0.995", "0.996", "0.997", "0.998", "0.999", "1.000"});
}

TEST_CASE("ticks of a logarithmic axis number the decades, and more when there are few") {
  CHECK(numbered(ChartScale({.label = "", .is_log = true, .range = ChartRange{0.1, 1000}}, {})) ==
        std::vector<std::string>{"0.1", "1", "10", "100", "1000"});
  CHECK(numbered(ChartScale({.label = "", .is_log = true, .range = ChartRange{1, 30}}, {})) ==
        std::vector<std::string>{"1", "2", "5", "10", "20"});
  CHECK(numbered(ChartScale({.label = "", .is_log = true, .range = ChartRange{1e-9, 1e-5}}, {})) ==
        std::vector<std::string>{"10^-9", "10^-8", "10^-7", "10^-6", "10^-5"});
}

TEST_CASE("a scale leaves a margin around the data and shows a single value in its middle") {
  const ChartScale wide({.label = ""}, {2, 4});
  CHECK(wide.position(2) > 0);
  CHECK(wide.position(4) < 1);
  CHECK(wide.position(3) == doctest::Approx(0.5));
  CHECK(ChartScale({.label = ""}, {5, 5}).position(5) == doctest::Approx(0.5));
  CHECK(ChartScale({.label = "", .is_log = true}, {5, 5}).position(5) == doctest::Approx(0.5));
}

TEST_CASE("what cannot be drawn is refused by name and leaves no file") {
  Chart chart = decay_chart();
  chart.series.clear();
  CHECK(contains(refusal(chart), "has no series"));
  chart = decay_chart();
  chart.series[1].y.pop_back();
  CHECK(contains(refusal(chart), "series 'method 1' has 30 x, 29 y"));
  chart = decay_chart();
  chart.series[2].y[4] = 0;
  CHECK(contains(refusal(chart), "series 'method 2' is 0 at point 4"));
  chart = decay_chart();
  chart.series[0].y.assign(30, std::numeric_limits<double>::quiet_NaN());
  CHECK(contains(refusal(chart), "no finite point"));
  chart = decay_chart();
  chart.y.range = ChartRange{3, 3};
  CHECK(contains(refusal(chart), "increasing pair"));
}

TEST_CASE("a chart needs an extension that is known and a folder that can be written") {
  const TemporaryFolder folder;
  CHECK(contains(message_of<Error>([&] { write_chart(decay_chart(), folder.path() / "chart.pdf"); }), ".svg or .png"));
  const auto nowhere = folder.path() / "nowhere" / "chart.png";
  CHECK(contains(message_of<Error>([&] { write_chart(decay_chart(), nowhere); }), nowhere.string()));
}

}  // namespace deq
