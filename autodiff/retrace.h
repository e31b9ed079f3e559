#pragma once

#include <functional>
#include <span>
#include <vector>

#include "core/graph.h"

namespace deq {

/// A second trace of what lies between some values and what depends on them.
struct Retraced {
  std::vector<Value> results;
  std::vector<Value> operands;  ///< what the new nodes read of the old graph, and results that stayed; no two alike
};

/// Repeats the nodes that lead from `from` to `results` with `to`, the same numbers with other derivatives, in the
/// place of `from`. Values for which `is_kept` holds are read as they are; nothing is repeated to make them. Equilibria
/// on the way are not solved again, as their solutions stay the same numbers; these become leaves of their own.
Retraced retrace(Graph& graph, std::span<const Value> results, std::span<const Value> from, std::span<const Value> to,
                 const std::function<bool(Ref)>& is_kept);

}  // namespace deq
