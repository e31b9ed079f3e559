#pragma once

#include "core/backend.h"

namespace deq::tests {

/// Pairs of group norms in one launch of `device`, in clusters of every size where it has them, and in graphs where it
/// has those: checks their values against the reference, as relative_difference measures.
void check_norm_pairs(Backend& device, bool has_clusters, double tolerance);

}  // namespace deq::tests
