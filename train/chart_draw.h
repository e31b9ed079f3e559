#pragma once

#include <cairo.h>

#include "train/chart.h"

namespace deq {

/// Errors: as write_chart, but for the path.
void check_chart(const Chart& chart);

/// Draws a checked chart from the origin of `context` to the right and down.
void draw_chart(const Chart& chart, cairo_t* context);

}  // namespace deq
