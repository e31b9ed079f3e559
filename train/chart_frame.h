#pragma once

#include <string>
#include <vector>

#include "train/chart.h"
#include "train/chart_pen.h"
#include "train/chart_scale.h"

namespace deq {

/// A name in the legend. `at`: the left end of its stroke, from the legend's upper left corner.
struct LegendEntry {
  std::size_t series = 0;
  Point at;
};

/// Everything around the data: title, frame, ticks, axis labels, legend; and the map from values to the page.
class ChartFrame {
 public:
  /// Measures the texts and divides the page. `chart` has been checked and outlives the frame.
  ChartFrame(const Chart& chart, Pen& pen);

  /// Background, grid, ticks, texts and legend.
  void draw(Pen& pen) const;
  /// The frame's lines, to be drawn over the data.
  void draw_border(Pen& pen) const;

  [[nodiscard]] const Rectangle& plot() const { return plot_; }
  [[nodiscard]] const ChartScale& x() const { return x_; }
  [[nodiscard]] const ChartScale& y() const { return y_; }
  /// Where a value lies on the page. Values that a log axis cannot show lie at its lower end.
  [[nodiscard]] Point at(double x, double y) const;

 private:
  void draw_x_axis(Pen& pen) const;
  void draw_y_axis(Pen& pen) const;
  void draw_marks(Pen& pen) const;
  void draw_legend(Pen& pen) const;
  /// Puts the names that are listed below each other, or, above the plot, into rows. Measures from the plot's corner.
  void place_legend(Pen& pen);

  const Chart& chart_;
  ChartScale x_;
  ChartScale y_;
  std::vector<ChartTick> x_ticks_;
  std::vector<ChartTick> y_ticks_;
  std::vector<LegendEntry> legend_;  ///< empty when there is no legend
  double legend_width_ = 0;          ///< of the column beside the plot
  double legend_height_ = 0;         ///< of the rows above the plot
  bool has_turned_labels_ = false;   ///< of the x axis, when they would touch each other
  double y_label_x_ = 0;
  Rectangle plot_;
};

}  // namespace deq
