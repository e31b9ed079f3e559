#pragma once

#include <vector>

#include "data/table.h"

namespace deq {

/// What is done to every column of a table, learnt from one part and applied to all.
/// unit_deviation divides by the population standard deviation and does not centre (the protocol of SHINE's inverse
/// quality experiment); standard also takes the mean off. Constant columns are not divided.
class ColumnScaling {
 public:
  enum class Kind : std::uint8_t { unit_deviation, standard };

  /// Errors: Error when `table` has no rows.
  ColumnScaling(Kind kind, const Table& table);

  /// Errors: Error when `table` has another number of columns.
  void apply(Table& table) const;

 private:
  std::vector<double> shift_;
  std::vector<double> factor_;
};

}  // namespace deq
