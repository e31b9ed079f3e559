#pragma once

#include <vector>

#include "core/graph.h"
#include "core/schedule.h"

namespace deq {

/// What is replayed as one: the region of a solve, or one of its rungs.
struct LoopPart {
  int solve = 0;  ///< index into the solves
  int rung = -1;  ///< -1: the region itself
};

/// Which loop each node runs in: the innermost one on whose states it depends. A solve that depends on the states of
/// another one runs in that one's loop, once a replay.
struct LoopNest {
  std::vector<LoopPart> parts;
  std::vector<int> part_of;  ///< [node] index into `parts`, -1 outside all loops
};

/// `live` is by node, as of live_nodes; `solves` in order of their nodes, the map of each directly before the regions
/// beside it. What several regions of one solve need is the map's, which runs before the others.
/// Errors: a node that depends on the states of a loop and is used outside it.
LoopNest find_loop_nest(const Graph& graph, const std::vector<std::uint8_t>& live,
                        const std::vector<SolveSpan>& solves);

/// Throws the error of a value that changes in a solver's loop and is used outside.
[[noreturn]] void refuse_stray(const Graph& graph, Ref ref);

}  // namespace deq
