#include "data/column_scaling.h"

#include <cmath>

#include "core/error.h"

namespace deq {

ColumnScaling::ColumnScaling(Kind kind, const Table& table) : shift_(table.columns), factor_(table.columns, 1.0) {
  check(table.rows > 0, "column scaling", "a table without rows");
  const auto count = static_cast<double>(table.rows);
  for (std::int64_t column = 0; column < table.columns; ++column) {
    double mean = 0;
    for (std::int64_t row = 0; row < table.rows; ++row) mean += table.values[row * table.columns + column] / count;
    double variance = 0;
    for (std::int64_t row = 0; row < table.rows; ++row) {
      const double gap = table.values[row * table.columns + column] - mean;
      variance += gap * gap / count;
    }
    if (kind == Kind::standard) shift_[column] = mean;
    // The deviation of a constant column is rounding: below 1e-14 of its size.
    if (std::sqrt(variance) > 1e-14 * std::abs(mean)) factor_[column] = 1 / std::sqrt(variance);
  }
}

void ColumnScaling::apply(Table& table) const {
  check(table.columns == static_cast<std::int64_t>(shift_.size()), "column scaling", table.columns,
        " columns; expected ", shift_.size());
  for (std::int64_t row = 0; row < table.rows; ++row) {
    for (std::int64_t column = 0; column < table.columns; ++column) {
      double& value = table.values[row * table.columns + column];
      value = (value - shift_[column]) * factor_[column];
    }
  }
}

}  // namespace deq
