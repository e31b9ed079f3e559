#include "core/schedule.h"

#include "core/rewrite.h"

namespace deq {
namespace {

bool is_update(const Op& op) { return std::holds_alternative<SgdUpdate>(op) || std::holds_alternative<AdamUpdate>(op); }

std::vector<SolveSpan> find_solves(const Graph& graph, const std::vector<std::uint8_t>& live) {
  std::vector<SolveSpan> solves;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!live[id]) continue;
    if (const auto* op = std::get_if<Equilibrium>(&graph.node(id).op)) solves.push_back({id, op->region, 0, 0});
    if (const auto* op = std::get_if<AdjointSolve>(&graph.node(id).op)) solves.push_back({id, op->region, 0, 0});
  }
  return solves;
}

/// A node belongs to the region on whose states it depends.
std::vector<int> assign_regions(const Graph& graph, const std::vector<std::uint8_t>& live,
                                const std::vector<SolveSpan>& solves) {
  std::vector<int> solve_of(graph.size(), -1);
  for (std::size_t i = 0; i < solves.size(); ++i)
    for (const Ref& state : graph.region(solves[i].region).states) solve_of[state.node] = static_cast<int>(i);
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (!live[id] || node.rate < Rate::iterate) continue;
    for (const Ref& ref : node.inputs) {
      const int from = solve_of[ref.node];
      if (from < 0) continue;
      check(solve_of[id] < 0 || solve_of[id] == from, name_of(node.op),
            "depends on the states of two solves; nested equilibria are not supported (layer '", node.label, "')");
      solve_of[id] = from;
    }
  }
  for (const SolveSpan& solve : solves)
    check(solve_of[solve.node] < 0, "equilibrium", "stands inside the map of another equilibrium (layer '",
          graph.node(solve.node).label, "'); nested equilibria are not supported");
  return solve_of;
}

}  // namespace

Schedule make_schedule(const Graph& graph, std::span<const Ref> outputs) {
  const std::vector<std::uint8_t> live = live_nodes(graph, outputs);
  Schedule out;
  out.position.assign(graph.size(), -1);
  out.solves = find_solves(graph, live);
  out.solve_of = assign_regions(graph, live, out.solves);

  std::vector<std::vector<NodeId>> members(out.solves.size());
  std::vector<NodeId> outer, updates;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Op& op = graph.node(id).op;
    if (!live[id] || std::holds_alternative<Input>(op)) continue;
    if (out.solve_of[id] >= 0)
      members[static_cast<std::size_t>(out.solve_of[id])].push_back(id);
    else
      (is_update(op) ? updates : outer).push_back(id);
  }
  outer.insert(outer.end(), updates.begin(), updates.end());

  const auto place = [&](NodeId id) {
    out.position[id] = out.end();
    out.order.push_back(id);
  };
  for (const NodeId id : outer) {
    for (std::size_t i = 0; i < out.solves.size(); ++i) {
      if (out.solves[i].node != id) continue;
      out.solves[i].first = out.end();
      for (const NodeId member : members[i]) place(member);
      out.solves[i].last = out.end();
    }
    place(id);
  }
  return out;
}

}  // namespace deq
