#pragma once

#include "core/backend.h"

namespace deq {

/// Gives `region` copies for smaller batches (Region::Rung): half the samples, a quarter, ... down to one, so that
/// samples that have stopped need not be computed.
///
/// Values that do not depend on the states are shared where an operation reads them as a whole (weights, packed weights
/// of the same layout) and gathered row by row where it reads one row a sample (injection, masks). An axis 0 of k rows
/// a sample (images cut into k patches) is followed. Where an operation joins samples (a sum over axis 0, batch norm in
/// training, a batch axis that moved), the region gets no rungs but `rung_refusal`, which names it.
/// A batch of one gets neither.
void add_rungs(Graph& graph, RegionId region, const Backend& backend);

}  // namespace deq
