#pragma once

#include <utility>

#include "core/elementwise.h"

namespace deq::cuda {

/// use(0), .., use(n - 1), unrolled on every compiler, so that arrays by that index are registers.
template <int n, class Use>
DEQ_HOST_DEVICE void unrolled(const Use& use) {
  [&]<int... k>(std::integer_sequence<int, k...>) { (use(k), ...); }
  (std::make_integer_sequence<int, n>{});
}

}  // namespace deq::cuda
