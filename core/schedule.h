#pragma once

#include <vector>

#include "core/graph.h"

namespace deq {

/// Positions [first, last).
struct Span {
  int first = 0;
  int last = 0;
};

/// A solver loop in the schedule: the nodes of its region and then those of its rungs run at positions [first, last),
/// the solve itself at `last`.
struct SolveSpan {
  NodeId node = 0;  ///< Equilibrium or AdjointSolve
  RegionId region = 0;
  int first = 0;
  int last = 0;
  std::vector<Span> rungs = {};  ///< by rung of the region

  /// Where the nodes of the region itself end.
  [[nodiscard]] int region_last() const { return rungs.empty() ? last : rungs.front().first; }
};

/// The order in which live nodes run. Region nodes stand directly before their solve; optimiser updates come last,
/// so that they may overwrite parameters that everything else has read.
struct Schedule {
  std::vector<NodeId> order;  ///< live nodes that compute something (no inputs), by position
  std::vector<int> position;  ///< [node] position, -1 for inputs and dead nodes
  std::vector<int> solve_of;  ///< [node] index into `solves` of the region the node belongs to, else -1
  std::vector<SolveSpan> solves;

  [[nodiscard]] int end() const { return static_cast<int>(order.size()); }
};

/// Errors: an equilibrium inside another's region.
Schedule make_schedule(const Graph& graph, std::span<const Ref> outputs);

}  // namespace deq
