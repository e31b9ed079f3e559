#pragma once

#include "tests/core/cpu_kernel_cases.h"

namespace deq::tests {

/// Numbers between `low` and `high`, others in every call.
Tensor draw(const Shape& shape, float low, float high);

/// kernel_cases(), and extents at which a GPU's reductions are cut into pieces, tiles and clusters.
std::vector<KernelCase> all_kernel_cases();

}  // namespace deq::tests
