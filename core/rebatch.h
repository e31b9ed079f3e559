#pragma once

#include "core/backend.h"

namespace deq {

/// Why `region` cannot be evaluated for some of its samples alone, naming the operation that joins them (a sum over
/// axis 0, batch norm in training, a batch axis that moved); empty when it can, and for a batch of one. An axis 0 of k
/// rows a sample (images cut into k patches) is followed.
std::string why_joint(const Graph& graph, const Region& region);

/// Gives `region` copies for smaller batches (Region::Rung): half the samples, a quarter, ... down to one, so that
/// samples that have stopped need not be computed.
///
/// Values that do not depend on the states are shared where an operation reads them as a whole (weights, packed weights
/// of the same layout) and gathered row by row where it reads one row a sample (injection, masks). A joint region, one
/// with a solve inside, and a batch of one get none.
void add_rungs(Graph& graph, RegionId region, const Backend& backend);

}  // namespace deq
