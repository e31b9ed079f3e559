#pragma once

#include <cstddef>

#include "train/chart_frame.h"

namespace deq {

/// Colour, marker and dashes of the series at `place` in its chart.
SeriesLook look_of(const ChartSeries& series, std::size_t place);

/// Draws every series of `chart` into the plot area of `frame`: bands, then bars, lines and markers, then labels.
void draw_series(const Chart& chart, const ChartFrame& frame, Pen& pen);

}  // namespace deq
