#pragma once

#include "train/chart_frame.h"

namespace deq {

/// Draws every series of `chart` into the plot area of `frame`: bands, then bars, lines and markers, then labels.
void draw_series(const Chart& chart, const ChartFrame& frame, Pen& pen);

}  // namespace deq
