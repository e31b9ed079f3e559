#include "core/buffer_order.h"

#include <algorithm>
#include <map>

#include "core/pack.h"

namespace deq {

BufferOrder::BufferOrder(const PlanRequest& request, const MemoryPlan& plan)
    : plan_(plan), accesses_(plan.buffers.size()), precedence_(static_cast<std::size_t>(request.schedule.end())) {
  find_segments(request);
  find_accesses(request);
  find_precedence();
}

/// As Program::State cuts them: at solves, with the map of a solve and each of its rungs apart, and what runs once a
/// step apart where that survives.
void BufferOrder::find_segments(const PlanRequest& request) {
  const ProgramSchedule& schedule = request.schedule;
  segment_.assign(static_cast<std::size_t>(schedule.end()), -1);
  int next = 0;
  const auto mark = [&](Span positions) {
    std::fill(segment_.begin() + positions.first, segment_.begin() + positions.last, next);
    ++next;
  };
  for (const SolveSpan& solve : schedule.solves) {
    mark(solve.own);
    for (const Span& rung : solve.rungs) mark(rung);
    mark({solve.last, solve.last + 1});
  }
  std::map<std::pair<int, bool>, int> outside;
  for (int position = 0; position < schedule.end(); ++position) {
    int& segment = segment_[static_cast<std::size_t>(position)];
    if (segment >= 0) continue;
    const auto solves =
        std::ranges::count_if(schedule.solves, [&](const SolveSpan& solve) { return solve.last < position; });
    const NodeId id = schedule.order[static_cast<std::size_t>(position)];
    const bool is_kept = request.keeps_slow_rates && request.graph.node(id).rate <= Rate::step;
    const auto [at, is_new] = outside.try_emplace({static_cast<int>(solves), is_kept}, next);
    if (is_new) ++next;
    segment = at->second;
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
