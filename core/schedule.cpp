#include "core/schedule.h"

#include <algorithm>

#include "core/live_nodes.h"

namespace deq {
namespace {

/// Optimiser steps, which write parameters in place, and what reads their results: [node] 1 or 0. All else comes first.
std::vector<std::uint8_t> updates_and_readers(const Graph& graph, const std::vector<std::uint8_t>& live) {
  std::vector<std::uint8_t> out(graph.size(), 0);
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    const bool is_update = std::holds_alternative<SgdUpdate>(node.op) || std::holds_alternative<AdamUpdate>(node.op);
    const auto is_late = [&](Ref ref) { return out[ref.node] != 0; };
    bool reads_one = std::ranges::any_of(node.inputs, is_late);
    for (const RegionId region : regions_of(node.op))
      reads_one = reads_one || std::ranges::any_of(graph.region(region).results, is_late);
    out[id] = live[id] != 0 && (is_update || reads_one) ? 1 : 0;
  }
  return out;
}

/// The map of a solve comes directly before the regions beside it.
std::vector<SolveSpan> find_solves(const Graph& graph, const std::vector<std::uint8_t>& live) {
  std::vector<SolveSpan> solves;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!live[id]) continue;
    const auto add = [&](RegionId region, RegionRole role) {
      solves.push_back({.node = id, .region = region, .role = role});
    };
    if (const auto* op = std::get_if<LinearSolve>(&graph.node(id).op)) add(op->region, RegionRole::map);
    const auto* op = std::get_if<Equilibrium>(&graph.node(id).op);
    if (op == nullptr) continue;
    add(op->region, RegionRole::map);
    if (op->beside.pullback) add(*op->beside.pullback, RegionRole::pullback);
    if (op->beside.pushforward) add(*op->beside.pushforward, RegionRole::pushforward);
    if (op->beside.outer_gradient) add(*op->beside.outer_gradient, RegionRole::outer_gradient);
  }
  return solves;
}

/// What is replayed as one: the region of a solve, or one of its rungs.
struct LoopPart {
  int solve = 0;
  int rung = -1;  ///< -1: the region itself
  std::vector<NodeId> nodes = {};
};

std::vector<LoopPart> find_parts(const Graph& graph, const std::vector<SolveSpan>& solves) {
  std::vector<LoopPart> parts;
  for (std::size_t i = 0; i < solves.size(); ++i) {
    const std::size_t rungs = graph.region(solves[i].region).rungs.size();
    for (int rung = -1; rung < static_cast<int>(rungs); ++rung) parts.push_back({static_cast<int>(i), rung});
  }
  return parts;
}

/// Errors out: `ref` changes in a solver's loop and is used outside.
void refuse_stray(const Graph& graph, Ref ref) {
  const Node& node = graph.node(ref);
  const bool is_input = std::holds_alternative<Input>(node.op);
  check(false, is_input ? "input" : name_of(node.op), is_input ? concat("'", graph.input_name(ref.node), "' ") : "",
        "is what a solver iterates, or computed from it, and has no value outside its loop: use what the equilibrium "
        "returns, or apply f to that (layer '",
        node.label, "')");
}

/// Nodes of a loop that only one region beside its map needs become that region's; what several need is the map's,
/// which runs before them all.
void share_out(const Graph& graph, const std::vector<SolveSpan>& solves, const std::vector<LoopPart>& parts,
               std::vector<int>& part_of) {
  const std::vector<int> loop_of = part_of;
  constexpr int kNobody = -1, kSeveral = -2;
  std::vector<int> needed_by(graph.size(), kNobody);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].rung >= 0) continue;
    const Region& region = graph.region(solves[static_cast<std::size_t>(parts[i].solve)].region);
    std::vector<NodeId> pending;
    for (const Ref& ref : region.results) pending.push_back(ref.node);
    for (const Ref& ref : region.states) part_of[ref.node] = static_cast<int>(i);
    std::vector<std::uint8_t> is_seen(graph.size(), 0);
    while (!pending.empty()) {
      const NodeId id = pending.back();
      pending.pop_back();
      if (is_seen[id] || loop_of[id] < 0 || std::holds_alternative<Input>(graph.node(id).op)) continue;
      is_seen[id] = 1;
      needed_by[id] = needed_by[id] == kNobody ? static_cast<int>(i) : kSeveral;
      for (const Ref& ref : graph.node(id).inputs) pending.push_back(ref.node);
    }
  }
  for (NodeId id = 0; id < graph.size(); ++id) {
    const bool is_stray = loop_of[id] >= 0 && parts[static_cast<std::size_t>(loop_of[id])].rung < 0 &&
                          needed_by[id] == kNobody && !std::holds_alternative<Input>(graph.node(id).op);
    if (is_stray) refuse_stray(graph, Ref{id, 0});
    if (needed_by[id] >= 0) part_of[id] = needed_by[id];
  }
}

/// A node belongs to the part on whose states it depends: [node] index into `parts`, or -1. States of the regions
/// beside a map count as the map's until share_out.
std::vector<int> assign_parts(const Graph& graph, const std::vector<std::uint8_t>& live,
                              const std::vector<SolveSpan>& solves, const std::vector<LoopPart>& parts) {
  std::vector<int> part_of(graph.size(), -1);
  int map = -1;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const SolveSpan& solve = solves[static_cast<std::size_t>(parts[i].solve)];
    const Region& region = graph.region(solve.region);
    if (solve.role == RegionRole::map && parts[i].rung < 0) map = static_cast<int>(i);
    const int owner = parts[i].rung < 0 ? map : static_cast<int>(i);
    const auto own = [&](const std::vector<Ref>& inputs) {
      for (const Ref& ref : inputs) part_of[ref.node] = owner;
    };
    if (parts[i].rung < 0) {
      own(region.states);
    } else {
      own(region.rungs[static_cast<std::size_t>(parts[i].rung)].states);
      own(region.rungs[static_cast<std::size_t>(parts[i].rung)].gathered);
    }
  }
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (!live[id] || node.rate < Rate::iterate) continue;
    for (const Ref& ref : node.inputs) {
      const int from = part_of[ref.node];
      if (from < 0) continue;
      check(part_of[id] < 0 || part_of[id] == from, name_of(node.op),
            "depends on the states of two solves; nested equilibria are not supported (layer '", node.label, "')");
      part_of[id] = from;
    }
  }
  for (const SolveSpan& solve : solves)
    check(part_of[solve.node] < 0, "equilibrium", "stands inside the map of another equilibrium (layer '",
          graph.node(solve.node).label, "'); nested equilibria are not supported");
  return part_of;
}

}  // namespace

ProgramSchedule make_schedule(const Graph& graph, std::span<const Ref> outputs) {
  const std::vector<std::uint8_t> live = live_nodes(graph, outputs);
  ProgramSchedule out;
  out.position.assign(graph.size(), -1);
  out.solves = find_solves(graph, live);
  std::vector<LoopPart> parts = find_parts(graph, out.solves);
  std::vector<int> part_of = assign_parts(graph, live, out.solves, parts);
  share_out(graph, out.solves, parts, part_of);
  for (const Ref& ref : outputs)
    if (graph.rate(ref) >= Rate::iterate) refuse_stray(graph, ref);
  for (const Assignment& assignment : graph.assignments())
    if (graph.rate(assignment.updated) >= Rate::iterate) refuse_stray(graph, assignment.updated);
  for (const int part : part_of) out.solve_of.push_back(part < 0 ? -1 : parts[static_cast<std::size_t>(part)].solve);

  std::vector<NodeId> outer, late;
  const std::vector<std::uint8_t> is_late = updates_and_readers(graph, live);
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!live[id] || std::holds_alternative<Input>(graph.node(id).op)) continue;
    if (part_of[id] >= 0)
      parts[static_cast<std::size_t>(part_of[id])].nodes.push_back(id);
    else
      (is_late[id] != 0 ? late : outer).push_back(id);
  }
  outer.insert(outer.end(), late.begin(), late.end());

  const auto place = [&](NodeId id) {
    out.position[id] = out.end();
    out.order.push_back(id);
  };
  const auto place_loop = [&](int index) {
    SolveSpan& solve = out.solves[static_cast<std::size_t>(index)];
    for (const LoopPart& part : parts) {
      if (part.solve != index) continue;
      const int first = out.end();
      for (const NodeId member : part.nodes) place(member);
      if (part.rung >= 0)
        solve.rungs.push_back({first, out.end()});
      else
        solve.own = {first, out.end()};
    }
  };
  for (const NodeId id : outer) {
    const int first = out.end();
    for (std::size_t i = 0; i < out.solves.size(); ++i)
      if (out.solves[i].node == id) place_loop(static_cast<int>(i));
    for (SolveSpan& solve : out.solves)
      if (solve.node == id) solve.first = first, solve.last = out.end();
    place(id);
  }
  out.first_update = late.empty() ? out.end() : out.position[late.front()];
  return out;
}

}  // namespace deq
