#include "core/live_nodes.h"

#include <algorithm>

namespace deq {

std::vector<RegionId> regions_of(const Op& op) {
  std::vector<RegionId> out;
  if (const auto* solve = std::get_if<Equilibrium>(&op)) {
    out.push_back(solve->region);
    for (const auto& region : {solve->beside.pullback, solve->beside.pushforward, solve->beside.outer_gradient})
      if (region) out.push_back(*region);
  }
  if (const auto* solve = std::get_if<LinearSolve>(&op)) out.push_back(solve->region);
  return out;
}

std::vector<Ref> reads_of(const Region& region) {
  std::vector<Ref> out = region.results;
  for (const Region::Rung& rung : region.rungs) out.insert(out.end(), rung.captured.begin(), rung.captured.end());
  return out;
}

std::vector<NodeId> states_around(const Graph& graph, const Op& op) {
  std::vector<NodeId> found, own, pending;
  const auto enter = [&](const Op& solve) {
    for (const RegionId id : regions_of(solve)) {
      for (const Ref& ref : graph.region(id).states) own.push_back(ref.node);
      for (const Ref& ref : graph.region(id).results) pending.push_back(ref.node);
    }
  };
  enter(op);
  if (pending.empty()) return {};
  std::vector<std::uint8_t> is_seen(graph.size(), 0);
  while (!pending.empty()) {
    const NodeId id = pending.back();
    pending.pop_back();
    const Node& node = graph.node(id);
    if (is_seen[id] != 0 || node.rate < Rate::iterate) continue;
    is_seen[id] = 1;
    if (std::holds_alternative<Input>(node.op)) found.push_back(id);
    for (const Ref& ref : node.inputs) pending.push_back(ref.node);
    enter(node.op);
  }
  std::erase_if(found, [&](NodeId id) { return std::ranges::find(own, id) != own.end(); });
  return found;
}

std::span<const Ref> needed_inputs(const Node& node) {
  const auto* stand_in = std::get_if<StandIn>(&node.op);
  return std::span(node.inputs).subspan(stand_in != nullptr && !stand_in->waits ? 1 : 0);
}

std::vector<std::uint8_t> live_nodes(const Graph& graph, std::span<const Ref> outputs) {
  std::vector<std::uint8_t> live(graph.size(), 0);
  std::vector<NodeId> pending;
  const auto mark = [&](Ref ref) {
    if (!live[ref.node]) pending.push_back(ref.node);
    live[ref.node] = 1;
  };
  for (const Ref& ref : outputs) mark(ref);
  for (const Assignment& assignment : graph.assignments()) {
    mark(assignment.target);
    mark(assignment.updated);
  }
  while (!pending.empty()) {
    const Node& node = graph.node(pending.back());
    pending.pop_back();
    for (const Ref& ref : needed_inputs(node)) mark(ref);
    for (const RegionId region : regions_of(node.op)) {
      const auto mark_all = [&](const std::vector<Ref>& refs) {
        for (const Ref& ref : refs) mark(ref);
      };
      mark_all(graph.region(region).states);
      mark_all(graph.region(region).results);
      for (const Region::Rung& rung : graph.region(region).rungs) {
        mark_all(rung.states);
        mark_all(rung.gathered);
        mark_all(rung.captured);
        mark_all(rung.results);
      }
    }
  }
  return live;
}

Readers count_readers(const Graph& graph, const std::vector<std::uint8_t>& live, std::span<const Ref> outputs) {
  Readers out{.of_first = std::vector<int>(graph.size(), 0), .of_others = std::vector<int>(graph.size(), 0)};
  const auto count = [&out](Ref ref) { ++(ref.output == 0 ? out.of_first : out.of_others)[ref.node]; };
  std::ranges::for_each(outputs, count);
  for (const Assignment& assignment : graph.assignments()) count(assignment.updated);
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (live[id] == 0) continue;
    std::ranges::for_each(needed_inputs(graph.node(id)), count);
    for (const RegionId region : regions_of(graph.node(id).op))
      std::ranges::for_each(graph.region(region).results, count);
  }
  return out;
}

}  // namespace deq
