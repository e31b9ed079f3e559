#include "core/schedule.h"

#include <algorithm>

#include "core/live_nodes.h"
#include "core/loop_nest.h"

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

/// Puts nodes in order: what runs in a loop stands directly before the solve whose loop it is.
class Placement {
 public:
  Placement(const Graph& graph, LoopNest nest, ProgramSchedule& schedule)
      : graph_(graph), nest_(std::move(nest)), schedule_(schedule), members_(nest_.parts.size()) {}

  void run(const std::vector<std::uint8_t>& live) {
    std::vector<NodeId> outside, late;
    const std::vector<std::uint8_t> is_late = updates_and_readers(graph_, live);
    for (NodeId id = 0; id < graph_.size(); ++id) {
      const int part = nest_.part_of[id];
      schedule_.solve_of.push_back(part < 0 ? -1 : nest_.parts[static_cast<std::size_t>(part)].solve);
      if (live[id] == 0 || std::holds_alternative<Input>(graph_.node(id).op)) continue;
      if (part >= 0)
        members_[static_cast<std::size_t>(part)].push_back(id);
      else
        (is_late[id] != 0 ? late : outside).push_back(id);
    }
    for (const NodeId id : outside) place(id);
    for (const NodeId id : late) place(id);
    schedule_.first_update = late.empty() ? schedule_.end() : schedule_.position[late.front()];
  }

 private:
  void place(NodeId id) {
    if (!regions_of(graph_.node(id).op).empty()) place_loops(id);
    schedule_.position[id] = schedule_.end();
    schedule_.order.push_back(id);
  }

  void place_loops(NodeId solve) {
    const int first = schedule_.end();
    for (std::size_t part = 0; part < nest_.parts.size(); ++part) {
      SolveSpan& span = span_of(part);
      if (span.node != solve) continue;
      const int start = schedule_.end();
      for (const NodeId member : members_[part]) place(member);
      if (nest_.parts[part].rung >= 0)
        span.rungs.push_back({start, schedule_.end()});
      else
        span.own = {start, schedule_.end()};
    }
    for (SolveSpan& span : schedule_.solves)
      if (span.node == solve) span.first = first, span.last = schedule_.end();
  }

  [[nodiscard]] SolveSpan& span_of(std::size_t part) {
    return schedule_.solves[static_cast<std::size_t>(nest_.parts[part].solve)];
  }

  const Graph& graph_;
  LoopNest nest_;
  ProgramSchedule& schedule_;
  std::vector<std::vector<NodeId>> members_;  ///< by part
};

}  // namespace

ProgramSchedule make_schedule(const Graph& graph, std::span<const Ref> outputs) {
  const std::vector<std::uint8_t> live = live_nodes(graph, outputs);
  ProgramSchedule out;
  out.position.assign(graph.size(), -1);
  out.solves = find_solves(graph, live);
  LoopNest nest = find_loop_nest(graph, live, out.solves);
  for (const Ref& ref : outputs)
    if (graph.rate(ref) >= Rate::iterate) refuse_stray(graph, ref);
  for (const Assignment& assignment : graph.assignments())
    if (graph.rate(assignment.updated) >= Rate::iterate) refuse_stray(graph, assignment.updated);
  Placement(graph, std::move(nest), out).run(live);
  return out;
}

}  // namespace deq
