#pragma once

#include <vector>

#include "core/sparse_matrix.h"

namespace deq {

/// Examples of a supervised task: one row of `features` and one label each.
struct Samples {
  SparseMatrix features;       ///< [samples, features]
  std::vector<double> labels;  ///< [samples]: -1 and +1, class numbers from 0, or targets, as the task says
};

}  // namespace deq
