#include "core/plan.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "core/buffer_order.h"
#include "core/live_nodes.h"
#include "core/pack.h"

namespace deq {
namespace {

constexpr std::size_t kAlignment = 64, kPage = 4096;

std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

/// The operand whose bytes an aliasing node's output shares.
Ref alias_source(const Node& node, std::uint32_t output) {
  if (std::holds_alternative<ImplicitGradient>(node.op)) return node.inputs[output];
  return node.inputs[std::holds_alternative<StandIn>(node.op) ? 1 : 0];
}

class Planner {
 public:
  explicit Planner(const PlanRequest& request) : r_(request), graph_(request.graph), schedule_(request.schedule) {
    plan_.places.resize(graph_.size());
    for (NodeId id = 0; id < graph_.size(); ++id) plan_.places[id].resize(graph_.node(id).outputs.size());
    last_use_.resize(graph_.size());
    for (NodeId id = 0; id < graph_.size(); ++id) last_use_[id].assign(graph_.node(id).outputs.size(), -1);
    is_read_later_.resize(graph_.size(), 0);
  }

  MemoryPlan run() {
    find_last_uses();
    place_inputs();
    place_solves();
    held_.resize(r_.scratch.sample_runs.size());
    for (int position = 0; position < schedule_.end(); ++position) place_node(position);
    place_held();
    place_scratch();
    stretch_over_sample_runs();
    std::optional<BufferOrder> order;
    if (r_.backend.runs_side_by_side()) order.emplace(r_, plan_);
    plan_.peak_bytes = assign_offsets(plan_.buffers, order ? &*order : nullptr);
    return std::move(plan_);
  }

 private:
  [[nodiscard]] std::size_t bytes_of(const TensorType& type) const {
    return static_cast<std::size_t>(type.shape.elements()) * size_of(r_.backend.storage(type.dtype));
  }
  [[nodiscard]] std::size_t bytes_of(Ref ref) const { return bytes_of(graph_.type(ref)); }
  [[nodiscard]] int end() const { return schedule_.end(); }

  int add_buffer(std::size_t bytes, int first, int last) {
    plan_.buffers.push_back({.bytes = bytes, .offset = 0, .first = first, .last = last});
    return static_cast<int>(plan_.buffers.size() - 1);
  }

  /// Until when what the part `home` of a loop computes is needed by a read at `position` in the part `reader` (-1:
  /// outside): what a loop reads from outside stays until the loop ends, and so with the loops around it.
  [[nodiscard]] int end_of_use(int home, int reader, int position) const {
    const auto span = [&](int solve) -> const SolveSpan& { return schedule_.solves[static_cast<std::size_t>(solve)]; };
    for (int at = reader; at >= 0 && at != home; at = schedule_.solve_of[span(at).node]) {
      position = span(at).last;
      if (home >= 0 && span(home).node == span(at).node) break;
    }
    return position;
  }

  /// A read of `ref` at `position` by a node of this rate.
  void use(Ref ref, int position, int reader_solve, Rate reader) {
    position = end_of_use(schedule_.solve_of[ref.node], reader_solve, position);
    int& last = last_use_[ref.node][ref.output];
    last = std::max(last, position);
    const Node& node = graph_.node(ref);
    if (reader > node.rate) is_read_later_[ref.node] = 1;
    if (is_alias(node.op)) use(alias_source(node, ref.output), position, reader_solve, reader);
  }

  void find_last_uses() {
    for (int position = 0; position < end(); ++position) {
      const NodeId id = schedule_.order[static_cast<std::size_t>(position)];
      const Node& node = graph_.node(id);
      for (std::size_t i = 0; i < node.inputs.size(); ++i)
        if (reads_operand(graph_, r_.backend, node, i))
          use(node.inputs[i], position, schedule_.solve_of[id], node.rate);
    }
    constexpr Rate kLast = Rate::cotangent;  // whoever reads these does so after every segment of a slower rate
    for (const SolveSpan& solve : schedule_.solves)
      for (const Ref& ref : reads_of(graph_.region(solve.region)))
        use(ref, solve.last, schedule_.solve_of[solve.node], kLast);
    for (const Ref& ref : r_.outputs) use(ref, end(), -1, kLast);
    for (const Assignment& assignment : graph_.assignments()) use(assignment.updated, end(), -1, kLast);
  }

  void place_inputs() {
    for (const NodeId id : graph_.parameters()) {
      if (r_.shares_parameters)
        plan_.places[id][0] = Place{.parameter = id, .is_external = true};
      else
        plan_.places[id][0].buffer = add_buffer(bytes_of(Ref{id, 0}), 0, end());
    }
    for (const NodeId id : graph_.inputs())
      if (graph_.rate(Ref{id, 0}) < Rate::iterate)
        plan_.places[id][0].buffer = add_buffer(bytes_of(Ref{id, 0}), 0, end());
  }

  /// One buffer holding `refs` one after the other; only refs in `wanted` get a place in it.
  template <class Wanted>
  int place_group(const std::vector<Ref>& refs, int first, int last, const Wanted& wanted) {
    std::size_t bytes = 0;
    for (const Ref& ref : refs) bytes += bytes_of(ref);
    const int buffer = add_buffer(bytes, first, last);
    std::size_t offset = 0;
    for (const Ref& ref : refs) {
      if (wanted(ref)) {
        plan_.places[ref.node][ref.output].buffer = buffer;
        plan_.places[ref.node][ref.output].offset = offset;
      }
      offset += bytes_of(ref);
    }
    return buffer;
  }

  static bool always(Ref) { return true; }
  /// Results that the loop of the solve itself computes are written straight into the map's output.
  [[nodiscard]] bool is_result(Ref ref, const SolveSpan& solve) const {
    const int home = schedule_.solve_of[ref.node];
    return home >= 0 && schedule_.solves[static_cast<std::size_t>(home)].node == solve.node &&
           plan_.places[ref.node][ref.output].buffer == Place::kNone;
  }

  void place_solves() {
    for (const SolveSpan& solve : schedule_.solves) {
      const Node& node = graph_.node(solve.node);
      const Region& region = graph_.region(solve.region);
      int last = solve.last;
      std::vector<Ref> solution;
      for (std::uint32_t i = 0; solve.role == RegionRole::map && i < node.outputs.size(); ++i) {
        solution.push_back(Ref{solve.node, i});
        last = std::max(last, last_use_[solve.node][i]);
      }
      plan_.solution_buffer.push_back(place_group(solution, solve.first, last, always));
      plan_.state_buffer.push_back(place_group(region.states, solve.first, solve.last, always));
      plan_.result_buffer.push_back(
          place_group(region.results, solve.first, solve.last, [&](Ref ref) { return is_result(ref, solve); }));
      place_rungs(solve);
    }
  }

  /// What a rung holds lives in its own part of the loop only, so that rungs and the region share memory.
  void place_rungs(const SolveSpan& solve) {
    std::vector<int>& states = plan_.rung_state_buffer.emplace_back();
    std::vector<int>& results = plan_.rung_result_buffer.emplace_back();
    for (std::size_t i = 0; i < solve.rungs.size(); ++i) {
      const Region::Rung& rung = graph_.region(solve.region).rungs[i];
      const int first = solve.rungs[i].first, last = solve.rungs[i].last - 1;
      states.push_back(place_group(rung.states, first, last, always));
      results.push_back(place_group(rung.results, first, last, always));
      for (const Ref& ref : rung.gathered) {
        plan_.places[ref.node][0].buffer = add_buffer(bytes_of(ref), first, last);
        kept_buffers_.push_back(plan_.places[ref.node][0].buffer);
      }
    }
  }

  void place_node(int position) {
    const NodeId id = schedule_.order[static_cast<std::size_t>(position)];
    const Node& node = graph_.node(id);
    const bool survives = r_.keeps_slow_rates && node.rate <= Rate::step && is_read_later_[id] != 0;
    for (std::uint32_t output = 0; output < node.outputs.size(); ++output) {
      Place& place = plan_.places[id][output];
      if (place.buffer != Place::kNone) continue;
      if (is_alias(node.op)) {
        place = plan_.place(alias_source(node, output));
        continue;
      }
      if (place_update(node, id, output, position, place)) continue;
      const int last = survives ? end() : last_use_[id][output];
      if (last < 0) continue;  // nobody reads it
      if (!survives && hold_sample(node, id, output, {position, last + 1})) continue;
      if (output == 0 && !survives && place_over_operand(node, id, position, last, place)) continue;
      place.buffer = add_buffer(bytes_of(Ref{id, output}), survives ? 0 : position, last);
    }
  }

  /// What a sample run computes for itself alone: each thread holds the rows of the sample that it works on, and takes
  /// the next sample in the same memory, which so stays in its cache. Returns false for all other values.
  bool hold_sample(const Node& node, NodeId id, std::uint32_t output, Span alive) {
    const auto& runs = r_.scratch.sample_runs;
    const auto run = std::ranges::find_if(runs, [alive](const SideBySide& r) {
      return alive.first >= r.positions.first && alive.last <= r.positions.last;
    });
    if (run == runs.end()) return false;
    Place& place = plan_.places[id][output];
    place.sample_run = static_cast<int>(run - runs.begin());
    std::vector<Buffer>& held = held_[static_cast<std::size_t>(place.sample_run)];
    const std::size_t bytes = bytes_of(Ref{id, output}) / static_cast<std::size_t>(run->samples);
    for (std::size_t i = 0; output == 0 && i < node.inputs.size(); ++i) {
      const Place source = plan_.place(node.inputs[i]);
      if (source.sample_run != place.sample_run || !may_overwrite(node, i)) continue;
      Buffer& buffer = held[static_cast<std::size_t>(source.buffer)];
      if (buffer.bytes != bytes || buffer.last != alive.first) continue;
      buffer.last = alive.last - 1;
      place = source;
      ++plan_.in_place_count;
      return true;
    }
    place.buffer = static_cast<int>(held.size());  // of the run, until place_held
    held.push_back({.bytes = bytes, .offset = 0, .first = alive.first, .last = alive.last - 1});
    return true;
  }

  /// One buffer a run, cut into whole pages for each thread, so that threads share no cache line.
  void place_held() {
    std::vector<int> buffers;
    for (std::size_t run = 0; run < held_.size(); ++run) {
      const auto& [positions, samples, threads] = r_.scratch.sample_runs[run];
      plan_.thread_bytes.push_back((assign_offsets(held_[run]) + kPage - 1) / kPage * kPage);
      const std::size_t bytes = plan_.thread_bytes.back() * static_cast<std::size_t>(threads);
      buffers.push_back(add_buffer(bytes, positions.first, positions.last - 1));
    }
    for (std::vector<Place>& places : plan_.places)
      for (Place& place : places) {
        if (place.sample_run == Place::kNone) continue;
        const auto run = static_cast<std::size_t>(place.sample_run);
        place.offset = held_[run][static_cast<std::size_t>(place.buffer)].offset;
        place.buffer = buffers[run];
      }
  }

  /// True when the first result of `node` may lie over operand `i`, which dies there.
  [[nodiscard]] bool may_overwrite(const Node& node, std::size_t i) const {
    const bool is_read_twice = std::ranges::count(node.inputs, node.inputs[i]) > 1;
    return r_.backend.may_overwrite(node.op, i) && !(is_read_twice && node.inputs.size() > 2);
  }

  /// An optimiser's results go straight into the storage of what they update, unless its old value is read later.
  bool place_update(const Node& node, NodeId id, std::uint32_t output, int position, Place& place) {
    const bool is_sgd = std::holds_alternative<SgdUpdate>(node.op);
    if (!is_sgd && !std::holds_alternative<AdamUpdate>(node.op)) return false;
    const Ref operand = node.inputs[output == 0 ? 0 : output + 1];
    for (const Assignment& assignment : graph_.assignments()) {
      if (assignment.updated != Ref{id, output} || assignment.target != operand) continue;
      if (last_use_[operand.node][operand.output] > position) return false;
      place = plan_.place(operand);
      return true;
    }
    return false;
  }

  bool place_over_operand(const Node& node, NodeId id, int position, int last, Place& place) {
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const Ref ref = node.inputs[i];
      const Place source = plan_.place(ref);
      if (source.is_external || source.buffer == Place::kNone || source.sample_run != Place::kNone) continue;
      Buffer& buffer = plan_.buffers[static_cast<std::size_t>(source.buffer)];
      const bool is_whole = source.offset == 0 && buffer.bytes == bytes_of(Ref{id, 0});
      const bool is_same_loop = schedule_.solve_of[ref.node] == schedule_.solve_of[id];
      if (!is_whole || !is_same_loop || buffer.last != position || is_shared(source.buffer)) continue;
      if (!may_overwrite(node, i)) continue;
      buffer.last = last;
      place = source;
      ++plan_.in_place_count;
      return true;
    }
    return false;
  }

  [[nodiscard]] bool is_shared(int buffer) const {
    const auto is_in = [buffer](const std::vector<int>& group) {
      return std::find(group.begin(), group.end(), buffer) != group.end();
    };
    const auto is_in_any = [&](const std::vector<std::vector<int>>& groups) {
      return std::any_of(groups.begin(), groups.end(), is_in);
    };
    return is_in(plan_.state_buffer) || is_in(plan_.result_buffer) || is_in(plan_.solution_buffer) ||
           is_in_any(plan_.rung_state_buffer) || is_in_any(plan_.rung_result_buffer) || is_in(kept_buffers_);
  }

  void place_scratch() {
    plan_.kernel_buffer.assign(static_cast<std::size_t>(end()), Place::kNone);
    for (int position = 0; position < end(); ++position) {
      const std::size_t bytes = r_.scratch.kernel_bytes[static_cast<std::size_t>(position)];
      if (bytes > 0) plan_.kernel_buffer[static_cast<std::size_t>(position)] = add_buffer(bytes, position, position);
    }
    for (std::size_t i = 0; i < schedule_.solves.size(); ++i) {
      const SolveSpan& solve = schedule_.solves[i];
      plan_.solver_buffer.push_back(add_buffer(r_.scratch.solver_bytes[i], solve.first, solve.last));
      int last = solve.last;
      for (const SolveSpan& other : schedule_.solves)
        if (const auto* adjoint = std::get_if<LinearSolve>(&graph_.node(other.node).op))
          if (adjoint->equilibrium == solve.node)
            last =
                std::max(last, end_of_use(schedule_.solve_of[solve.node], schedule_.solve_of[other.node], other.last));
      plan_.estimate_buffer.push_back(add_buffer(r_.scratch.estimate_bytes[i], solve.first, last));
      std::size_t cotangent_bytes = 0;
      if (std::holds_alternative<LinearSolve>(graph_.node(solve.node).op))
        for (std::uint32_t k = 0; k < graph_.node(solve.node).outputs.size(); ++k)
          cotangent_bytes += bytes_of({solve.node, k});
      plan_.cotangent_buffer.push_back(add_buffer(cotangent_bytes, solve.first, solve.last));
    }
  }

  /// Launches of a sample run work at the same time for different samples: what one of them touches is alive in all of
  /// it. Results in place stay so, for a sample's rows lie exactly over its own.
  void stretch_over_sample_runs() {
    for (const SideBySide& side_by_side : r_.scratch.sample_runs)
      for (Buffer& buffer : plan_.buffers) {
        const Span run = side_by_side.positions;
        const auto is_inside = [run](int at) { return at >= run.first && at < run.last; };
        if (is_inside(buffer.first)) buffer.first = run.first;
        if (is_inside(buffer.last)) buffer.last = run.last - 1;
      }
  }

  const PlanRequest& r_;
  const Graph& graph_;
  const ProgramSchedule& schedule_;
  MemoryPlan plan_;
  std::vector<std::vector<int>> last_use_;
  std::vector<std::uint8_t> is_read_later_;  ///< [node] 1 where a node of a faster rate, or the caller, reads it
  std::vector<int> kept_buffers_;            ///< gathered rows: a replay must leave them as they are
  std::vector<std::vector<Buffer>> held_;    ///< by sample run: of one thread
};

}  // namespace

std::size_t assign_offsets(std::vector<Buffer>& buffers, const BufferOrder* order) {
  const auto may_share = [&](std::size_t i, std::size_t j) {
    const bool is_first = buffers[i].last < buffers[j].first;
    if (!is_first && !(buffers[j].last < buffers[i].first)) return false;
    return order == nullptr || (is_first ? order->precedes(i, j) : order->precedes(j, i));
  };
  std::vector<std::size_t> by_size(buffers.size());
  std::iota(by_size.begin(), by_size.end(), std::size_t{0});
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](std::size_t a, std::size_t b) { return buffers[a].bytes > buffers[b].bytes; });
  std::vector<std::size_t> placed;  // by offset
  std::size_t peak = 0;
  for (const std::size_t i : by_size) {
    Buffer& buffer = buffers[i];
    std::size_t offset = 0;
    for (const std::size_t j : placed) {
      const Buffer& other = buffers[j];
      if (may_share(i, j)) continue;
      if (other.offset >= offset + aligned(buffer.bytes)) break;  // the gap before `other` suffices
      offset = std::max(offset, other.offset + aligned(other.bytes));
    }
    buffer.offset = offset;
    if (buffer.bytes == 0) continue;
    const auto at =
        std::find_if(placed.begin(), placed.end(), [&](std::size_t j) { return buffers[j].offset > buffer.offset; });
    placed.insert(at, i);
    peak = std::max(peak, offset + aligned(buffer.bytes));
  }
  return peak;
}

bool is_alias(const Op& op) {
  return std::holds_alternative<Reshape>(op) || std::holds_alternative<ImplicitGradient>(op) ||
         std::holds_alternative<StandIn>(op);
}

MemoryPlan plan_memory(const PlanRequest& request) { return Planner(request).run(); }

}  // namespace deq
