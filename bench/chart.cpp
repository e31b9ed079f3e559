// Draws a chart from a description, with the chart code of train/.
//
//   build/release/bench_chart description.json out.svg
//
// {"title": "..", "x": {"label": "..", "log": true}, "y": {..}, "series": [{"name": "..", "x": [..], "y": [..]}]}

#include "train/chart.h"

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

namespace {

deq::ChartAxis axis_of(const nlohmann::json& json) {
  return {.label = json.at("label"), .is_log = json.value("log", false)};
}

deq::Chart chart_of(const nlohmann::json& json) {
  deq::Chart chart{.title = json.at("title"), .x = axis_of(json.at("x")), .y = axis_of(json.at("y")), .series = {}};
  for (const nlohmann::json& series : json.at("series"))
    chart.series.push_back({.name = series.at("name"), .x = series.at("x"), .y = series.at("y")});
  chart.width = json.value("width", 640);
  chart.height = json.value("height", 380);
  return chart;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: bench_chart description.json out.svg\n");
    return 2;
  }
  try {
    std::ifstream file(argv[1]);
    deq::write_chart(chart_of(nlohmann::json::parse(file)), argv[2]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_chart: %s: %s\n", argv[1], error.what());
    return 1;
  }
}
