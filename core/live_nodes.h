#pragma once

#include <vector>

#include "core/graph.h"

namespace deq {

/// Nodes that `outputs` and the assignments of `graph` need, regions included; [node] 1 or 0.
std::vector<std::uint8_t> live_nodes(const Graph& graph, std::span<const Ref> outputs);

/// How many read a node's first output, and its others; [node].
struct Readers {
  std::vector<int> of_first, of_others;
};
/// Readers among the nodes that are live, regions' results, `outputs` and assignments.
Readers count_readers(const Graph& graph, const std::vector<std::uint8_t>& live, std::span<const Ref> outputs);

/// The inputs whose values a node needs: all, but for what another value stands in for.
std::span<const Ref> needed_inputs(const Node& node);

/// The regions an op evaluates, if it is a solve.
std::vector<RegionId> regions_of(const Op& op);

/// What a region reads to be replayed: its results, and what its rungs gather.
std::vector<Ref> reads_of(const Region& region);

/// States of the solver loops around a solve, on which what it evaluates depends: inputs of rate iterate or faster that
/// none of its own regions has, nor a solve within them.
std::vector<NodeId> states_around(const Graph& graph, const Op& op);

}  // namespace deq
