#pragma once

#include <string>
#include <vector>

#include "core/backend.h"

namespace deq::op_cases {

/// One output of one case that a backend computed otherwise than the reference.
struct Disagreement {
  std::string where;  ///< case and output
  double error = 0;   ///< |found - wanted| / |wanted| over the whole output; infinite for integers and bits that change
};

/// Compiles every case of the grid as a program on `backend`, runs it three times (a device captures and replays) and
/// compares with the reference: outputs whose normalised error is `bound` or more, or whose bits change between runs.
std::vector<Disagreement> compare_programs(Backend& backend, double bound);

}  // namespace deq::op_cases
