#pragma once

#include <vector>

#include "core/graph.h"

namespace deq {

/// Positions [first, last).
struct Span {
  int first = 0;
  int last = 0;
};

/// What a region is to its solve.
enum class RegionRole : std::uint8_t { map, pullback, pushforward, outer_gradient };

/// One region of a solver loop in the schedule. The loop runs at positions [first, last), the solve itself at `last`;
/// in it the nodes of the map come first (at `own`) and then those of its rungs, or of the regions beside it, which
/// read the map's. A solve among the nodes of a map stands there with its own loop before it.
struct SolveSpan {
  NodeId node = 0;  ///< Equilibrium or LinearSolve
  RegionId region = 0;
  RegionRole role = RegionRole::map;
  int first = 0;
  int last = 0;
  Span own = {};                 ///< the nodes of the region itself, loops inside included
  std::vector<Span> rungs = {};  ///< by rung of the region
};

/// The order in which live nodes run. Region nodes stand directly before their solve; optimiser updates come last,
/// so that they may overwrite parameters that everything else has read.
struct ProgramSchedule {
  std::vector<NodeId> order;  ///< live nodes that compute something (no inputs), by position
  std::vector<int> position;  ///< [node] position, -1 for inputs and dead nodes
  std::vector<int> solve_of;  ///< [node] index into `solves` of the region the node belongs to, else -1
  std::vector<SolveSpan> solves;
  int first_update = 0;  ///< position of the first optimiser update, else `end()`: nothing before it writes parameters

  [[nodiscard]] int end() const { return static_cast<int>(order.size()); }
};

/// Errors: a value that changes in a solver's loop and is used outside.
ProgramSchedule make_schedule(const Graph& graph, std::span<const Ref> outputs);

}  // namespace deq
