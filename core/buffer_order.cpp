#include "core/buffer_order.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "core/live_nodes.h"
#include "core/pack.h"

namespace deq {

BufferOrder::BufferOrder(const PlanRequest& request, const MemoryPlan& plan)
    : plan_(plan), accesses_(plan.buffers.size()), precedence_(static_cast<std::size_t>(request.schedule.end())) {
  find_segments(request);
  find_accesses(request);
  find_precedence();
}

/// As Program::State cuts them: at solves, with the parts of loops apart, and what runs once a step apart where that
/// survives.
void BufferOrder::find_segments(const PlanRequest& request) {
  const ProgramSchedule& schedule = request.schedule;
  const auto rung_of = [&](int solve, int position) {
    const std::vector<Span>& rungs = schedule.solves[static_cast<std::size_t>(solve)].rungs;
    const auto rung =
        std::ranges::find_if(rungs, [&](const Span& span) { return position >= span.first && position < span.last; });
    return static_cast<int>(rung - rungs.begin());
  };
  std::vector<int> solves_before(schedule.solves.size() + 1, 0);  // by part, the last one for what is in no loop
  std::map<std::tuple<int, int, int, bool>, int> segments;
  for (int position = 0; position < schedule.end(); ++position) {
    const NodeId id = schedule.order[static_cast<std::size_t>(position)];
    const int part = schedule.solve_of[id], rung = part < 0 ? 0 : rung_of(part, position);
    const bool is_kept = part < 0 && request.keeps_slow_rates && request.graph.node(id).rate <= Rate::step;
    int& solves = part < 0 ? solves_before.back() : solves_before[static_cast<std::size_t>(part)];
    const bool is_solve = !regions_of(request.graph.node(id).op).empty();
    if (is_solve) ++solves;
    segment_.push_back(
        segments.try_emplace({part, rung, solves, is_kept}, static_cast<int>(segments.size())).first->second);
    if (is_solve) ++solves;
  }
}

void BufferOrder::find_accesses(const PlanRequest& request) {
  const Graph& graph = request.graph;
  for (int position = 0; position < request.schedule.end(); ++position) {
    const NodeId id = request.schedule.order[static_cast<std::size_t>(position)];
    const Node& node = graph.node(id);
    if (is_alias(node.op)) continue;
    const auto add = [&](Ref ref, bool writes) {
      const Place place = plan_.place(ref);
      if (place.is_external || place.buffer == Place::kNone) return;
      const TensorType& type = graph.type(ref);
      const auto bytes = static_cast<std::size_t>(type.shape.elements()) * size_of(request.backend.storage(type.dtype));
      accesses_[static_cast<std::size_t>(place.buffer)].push_back({position, writes, place.offset, bytes});
    };
    for (std::size_t i = 0; i < node.inputs.size(); ++i)
      if (reads_operand(graph, request.backend, node, i)) add(node.inputs[i], false);
    for (std::uint32_t i = 0; i < node.outputs.size(); ++i) add(Ref{id, i}, true);
  }
}

void BufferOrder::find_precedence() {
  std::vector<std::vector<std::size_t>> waits(segment_.size());
  for (const std::vector<Access>& accesses : accesses_)
    for (std::size_t then = 0; then < accesses.size(); ++then)
      for (std::size_t first = 0; first < then; ++first) {
        const auto from = static_cast<std::size_t>(accesses[first].position);
        const auto to = static_cast<std::size_t>(accesses[then].position);
        if (from != to && segment_[from] == segment_[to] && accesses[first].meets(accesses[then]))
          waits[to].push_back(from);
      }
  for (std::size_t then = 0; then < waits.size(); ++then)
    for (const std::size_t first : waits[then]) precedence_.add(first, then);
}

bool BufferOrder::precedes(std::size_t first, std::size_t then) const {
  const Buffer &a = plan_.buffers[first], &b = plan_.buffers[then];
  const auto count = static_cast<int>(segment_.size());
  if (a.last >= count || b.first >= count) return true;  // what outlives the program meets everything after it
  const int segment = segment_[static_cast<std::size_t>(a.last)];
  if (segment_[static_cast<std::size_t>(b.first)] != segment) return true;
  // Scratch has no accesses; its launch is its only position.
  const auto positions_of = [&](std::size_t buffer, const Buffer& of) {
    std::vector<std::size_t> out{static_cast<std::size_t>(of.first), static_cast<std::size_t>(of.last)};
    for (const Access& access : accesses_[buffer]) out.push_back(static_cast<std::size_t>(access.position));
    std::erase_if(out, [&](std::size_t position) {
      return position >= segment_.size() || segment_[position] != segment;  // beyond: alive after the program
    });
    return out;
  };
  const std::vector<std::size_t> ends = positions_of(first, a), starts = positions_of(then, b);
  return std::ranges::all_of(ends, [&](std::size_t end) {
    return std::ranges::all_of(starts, [&](std::size_t start) { return precedence_.precedes(end, start); });
  });
}

}  // namespace deq
