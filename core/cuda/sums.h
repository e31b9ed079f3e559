#pragma once

#include "core/elementwise.h"

namespace deq::cuda {

/// kCount sums taken at once.
template <int kCount>
struct Sums {
  double at[kCount] = {};
  DEQ_HOST_DEVICE Sums& operator+=(const Sums& other) {
    for (int i = 0; i < kCount; ++i) at[i] += other.at[i];
    return *this;
  }
};

}  // namespace deq::cuda
