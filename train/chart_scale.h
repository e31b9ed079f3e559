#pragma once

#include <string>
#include <vector>

#include "train/chart.h"

namespace deq {

struct ChartTick {
  double value = 0;
  std::string text;      ///< empty: a tick without a number
  std::string exponent;  ///< raised behind `text`: 10 and -3 for a thousandth
};

/// An axis with its final range: where values lie and which of them are marked.
class ChartScale {
 public:
  /// @param data  smallest and largest value that has to be seen; used when the axis has no range of its own
  /// Errors: Error when the range is empty, or not positive on a log axis.
  ChartScale(const ChartAxis& axis, ChartRange data);

  /// 0 at the lower end, 1 at the upper end; beyond that for values outside. On a log axis `value` is positive.
  [[nodiscard]] double position(double value) const;
  [[nodiscard]] ChartRange range() const { return range_; }
  [[nodiscard]] bool is_log() const { return is_log_; }
  /// Round numbers in order. On a log axis the decades carry numbers, and 2 and 5 as well when there are few decades.
  [[nodiscard]] std::vector<ChartTick> ticks() const;

 private:
  [[nodiscard]] std::vector<ChartTick> linear_ticks() const;
  [[nodiscard]] std::vector<ChartTick> log_ticks() const;

  bool is_log_;
  ChartRange range_;
};

}  // namespace deq
