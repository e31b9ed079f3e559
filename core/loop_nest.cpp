#include "core/loop_nest.h"

#include <algorithm>

#include "core/live_nodes.h"

namespace deq {
namespace {

class NestFinder {
 public:
  NestFinder(const Graph& graph, const std::vector<std::uint8_t>& live, const std::vector<SolveSpan>& solves)
      : graph_(graph), live_(live), solves_(solves), loops_on_(graph.size()), loop_of_(graph.size(), -1) {
    list_parts();
  }

  LoopNest run() {
    find_dependence();
    find_parents();
    for (NodeId id = 0; id < graph_.size(); ++id)
      if (live_[id] != 0) loop_of_[id] = innermost(id);
    share_out();
    return {.parts = std::move(parts_), .part_of = std::move(part_of_)};
  }

 private:
  [[nodiscard]] const SolveSpan& solve_of(std::size_t part) const {
    return solves_[static_cast<std::size_t>(parts_[part].solve)];
  }
  [[nodiscard]] bool is_input(NodeId id) const { return std::holds_alternative<Input>(graph_.node(id).op); }

  /// States belong to the part that they are the input of; those of regions beside a map to the map, until share_out.
  void list_parts() {
    int map = -1;
    for (std::size_t i = 0; i < solves_.size(); ++i) {
      const Region& region = graph_.region(solves_[i].region);
      if (solves_[i].role == RegionRole::map) map = static_cast<int>(parts_.size());
      add_part({static_cast<int>(i), -1}, map, region.states);
      for (std::size_t rung = 0; rung < region.rungs.size(); ++rung) {
        const auto part = static_cast<int>(parts_.size());
        add_part({static_cast<int>(i), static_cast<int>(rung)}, part, region.rungs[rung].states);
        for (const Ref& ref : region.rungs[rung].gathered) loops_on_[ref.node] = {part};
      }
    }
    parent_.assign(parts_.size(), -1);
    depth_.assign(parts_.size(), 0);
  }

  void add_part(LoopPart part, int map, const std::vector<Ref>& states) {
    parts_.push_back(part);
    map_of_.push_back(map);
    for (const Ref& ref : states) loops_on_[ref.node] = {map};
  }

  /// loops_on_[n]: the maps and rungs on whose states node n depends, the regions of a solve counting as its inputs.
  void find_dependence() {
    for (NodeId id = 0; id < graph_.size(); ++id) {
      const Node& node = graph_.node(id);
      if (live_[id] == 0 || node.rate < Rate::iterate || is_input(id)) continue;
      std::vector<int>& loops = loops_on_[id];
      const auto depend = [&](NodeId on) {
        for (const int loop : loops_on_[on])
          if (std::ranges::find(loops, loop) == loops.end()) loops.push_back(loop);
      };
      for (const Ref& ref : node.inputs) depend(ref.node);
      for (const NodeId state : states_around(graph_, node.op)) depend(state);
    }
  }

  /// A loop around another one ends with a later node.
  void find_parents() {
    for (std::size_t part = parts_.size(); part-- > 0;) {
      const NodeId node = solve_of(part).node;
      for (const int loop : loops_on_[node])
        if (solve_of(static_cast<std::size_t>(loop)).node <= node) refuse_stray(graph_, graph_.node(node).inputs[0]);
      parent_[part] = innermost(node);
      if (parent_[part] >= 0) depth_[part] = depth_[static_cast<std::size_t>(parent_[part])] + 1;
    }
  }

  [[nodiscard]] bool is_within(int loop, int around) const {
    while (loop >= 0 && loop != around) loop = parent_[static_cast<std::size_t>(loop)];
    return loop == around;
  }

  /// The deepest of the loops on which a node depends, which the others must be around.
  [[nodiscard]] int innermost(NodeId id) const {
    int out = -1;
    for (const int loop : loops_on_[id])
      if (out < 0 || depth_[static_cast<std::size_t>(loop)] > depth_[static_cast<std::size_t>(out)]) out = loop;
    for (const int loop : loops_on_[id])
      check(is_within(out, loop), name_of(graph_.node(id).op),
            "depends on the states of two solves, neither of which is part of the other's f: outside its loop what a "
            "solver iterates has no value; use what the equilibrium returns (layer '",
            graph_.node(id).label, "')");
    return out;
  }

  /// Nodes of a loop that only one region beside its map needs become that region's; what several need is the map's.
  void share_out() {
    part_of_ = loop_of_;
    constexpr int kNobody = -1, kSeveral = -2;
    std::vector<int> needed_by(graph_.size(), kNobody);
    for (std::size_t part = 0; part < parts_.size(); ++part) {
      if (parts_[part].rung >= 0) continue;
      for (const Ref& ref : graph_.region(solve_of(part).region).states) part_of_[ref.node] = static_cast<int>(part);
      for (const NodeId id : needed_in(part))
        needed_by[id] = needed_by[id] == kNobody ? static_cast<int>(part) : kSeveral;
    }
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (loop_of_[id] < 0 || is_input(id)) continue;
      const bool is_in_rung = parts_[static_cast<std::size_t>(loop_of_[id])].rung >= 0;
      if (!is_in_rung && needed_by[id] == kNobody) refuse_stray(graph_, Ref{id, 0});
      if (needed_by[id] >= 0) part_of_[id] = needed_by[id];
    }
  }

  /// Nodes of a part's own loop that its results need, also those that solves inside it read.
  [[nodiscard]] std::vector<NodeId> needed_in(std::size_t part) const {
    const int loop = map_of_[part];
    std::vector<NodeId> out, pending;
    for (const Ref& ref : graph_.region(solve_of(part).region).results) pending.push_back(ref.node);
    std::vector<std::uint8_t> is_seen(graph_.size(), 0);
    while (!pending.empty()) {
      const NodeId id = pending.back();
      pending.pop_back();
      if (is_seen[id] != 0 || !is_within(loop_of_[id], loop) || is_input(id)) continue;
      is_seen[id] = 1;
      if (loop_of_[id] == loop) out.push_back(id);
      for (const Ref& ref : graph_.node(id).inputs) pending.push_back(ref.node);
      for (const RegionId region : regions_of(graph_.node(id).op))
        for (const Ref& ref : reads_of(graph_.region(region))) pending.push_back(ref.node);
    }
    return out;
  }

  const Graph& graph_;
  const std::vector<std::uint8_t>& live_;
  const std::vector<SolveSpan>& solves_;
  std::vector<LoopPart> parts_;
  std::vector<int> map_of_;                 ///< by part: the map of its solve; a rung is its own
  std::vector<int> parent_;                 ///< by part: the loop in which its solve runs
  std::vector<int> depth_;                  ///< by part: how many loops are around it
  std::vector<std::vector<int>> loops_on_;  ///< [node]
  std::vector<int> loop_of_;                ///< [node] the map or rung it belongs to
  std::vector<int> part_of_;
};

}  // namespace

void refuse_stray(const Graph& graph, Ref ref) {
  const Node& node = graph.node(ref);
  const bool is_input = std::holds_alternative<Input>(node.op);
  throw Error(concat(is_input ? "input" : name_of(node.op), ": ",
                     is_input ? concat("'", graph.input_name(ref.node), "' ") : "",
                     "is what a solver iterates, or computed from it, and has no value outside its loop: use what the "
                     "equilibrium returns, or apply f to that (layer '",
                     node.label, "')"));
}

LoopNest find_loop_nest(const Graph& graph, const std::vector<std::uint8_t>& live,
                        const std::vector<SolveSpan>& solves) {
  return NestFinder(graph, live, solves).run();
}

}  // namespace deq
