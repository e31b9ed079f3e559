#pragma once

#include <cmath>

namespace deq {

/// The larger of two residuals; not a number as soon as one of them is none, which std::max would hide.
inline double worse(double a, double b) { return std::isnan(a) || a > b ? a : b; }

}  // namespace deq
