#pragma once

#include "core/backend.h"

namespace deq::tests {

/// Pairs of group norms in one launch of `device`, in clusters of every size and, where it has graphs, in those:
/// checks their values against the reference, as relative_difference measures.
void check_norm_pairs(Backend& device, double tolerance);

}  // namespace deq::tests
