#include <iomanip>

#include "core/pack.h"
#include "core/program_state.h"

// What can be asked of a program.

namespace deq {

const SolveReport* Program::forward_report(std::size_t equilibrium) const {
  return equilibrium < state().equilibria.size() ? &state().equilibria[equilibrium]->report() : nullptr;
}

const SolveReport* Program::backward_report(std::size_t equilibrium) const {
  if (equilibrium >= state().adjoints.size() || !state().adjoints[equilibrium]) return nullptr;
  return &state().adjoints[equilibrium]->report();
}

const SolveReport* Program::tangent_report(std::size_t equilibrium) const {
  if (equilibrium >= state().tangents.size() || !state().tangents[equilibrium]) return nullptr;
  return &state().tangents[equilibrium]->report();
}

FixedPointMap* Program::map(std::size_t equilibrium) {
  return equilibrium < state().equilibria.size() ? &state().equilibria[equilibrium]->map() : nullptr;
}

FixedPointMap* Program::vjp_map(std::size_t equilibrium) {
  if (equilibrium >= state().adjoints.size() || !state().adjoints[equilibrium]) return nullptr;
  RegionMap& map = state().adjoints[equilibrium]->map();
  return map.launches() ? &map : nullptr;
}

std::size_t Program::peak_bytes() const { return state().plan.peak_bytes; }
std::size_t Program::step_launches() const { return state().step_runs.size(); }
std::size_t Program::launches() const { return state().step_runs.size() + state().batch_runs.size(); }

std::size_t Program::map_launches(std::size_t equilibrium) const {
  return equilibrium < state().equilibria.size() ? state().equilibria[equilibrium]->map().launches() : 0;
}

std::size_t Program::map_bytes(std::size_t equilibrium) const {
  const State& s = state();
  std::size_t bytes = 0, solves = 0;
  for (std::size_t index = 0; index < s.schedule.solves.size(); ++index) {
    const SolveSpan& solve = s.schedule.solves[index];
    Kernel* const kernel = s.launches[static_cast<std::size_t>(solve.last)].kernel.get();
    if (solve.role != RegionRole::map || dynamic_cast<EquilibriumKernel*>(kernel) == nullptr) continue;
    if (solves++ != equilibrium) continue;
    for (int position = solve.own.first; position < solve.own.last; ++position) {
      const Launch& launch = s.launches[static_cast<std::size_t>(position)];
      const Node& node = s.graph().node(launch.node);
      if (!s.runs_in(position, index)) continue;
      const auto add = [&](const TensorType& type) {
        bytes += static_cast<std::size_t>(type.shape.elements()) * size_of(s.backend->storage(type.dtype));
      };
      for (std::size_t i = 0; i < node.inputs.size(); ++i)
        if (!is_beside_packed(s.graph(), node, i)) add(s.graph().type(node.inputs[i]));
      for (std::uint32_t i = 0; i < node.outputs.size(); ++i)
        if (s.output_used[launch.node][i] != 0) add(node.outputs[i]);
    }
  }
  return bytes;
}

std::string Program::State::rung_at(std::size_t position, int solve) const {
  const SolveSpan& span = schedule.solves[static_cast<std::size_t>(solve)];
  for (std::size_t i = 0; i < span.rungs.size(); ++i)
    if (static_cast<int>(position) >= span.rungs[i].first && static_cast<int>(position) < span.rungs[i].last)
      return concat(", ", graph().region(span.region).rungs[i].rows, " samples");
  return {};
}

std::string Program::describe() const {
  const State& s = state();
  std::ostringstream out;
  out << "arena " << s.plan.peak_bytes << " bytes, " << s.plan.buffers.size() << " buffers, " << s.plan.in_place_count
      << " results in place\n";
  for (std::size_t i = 0; i < s.schedule.solves.size(); ++i)
    if (const std::string& reason = s.graph().region(s.schedule.solves[i].region).joint; !reason.empty())
      out << "solve " << i << ": all samples are solved as one, for " << reason << '\n';
  for (const SampleRun& run : s.sample_runs)
    out << "launches " << run.positions.first << " to " << run.positions.last - 1 << " run sample by sample\n";
  for (std::size_t position = 0; position < s.launches.size(); ++position) {
    const NodeId id = s.launches[position].node;
    const Node& node = s.graph().node(id);
    const int solve = s.schedule.solve_of[id];
    out << std::setw(5) << position << ' ' << (solve >= 0 ? "  loop " : "") << name_of(node.op);
    if (solve >= 0) out << " [solve " << solve << s.rung_at(position, solve) << ']';
    for (const TensorType& type : node.outputs) out << ' ' << type;
    out << " @" << name_of(node.rate);
    const Place place = s.plan.place(Ref{id, 0});
    if (place.is_external) out << " -> parameter";
    if (place.buffer != Place::kNone)
      out << " -> +" << s.plan.buffers[static_cast<std::size_t>(place.buffer)].offset + place.offset;
    if (!node.label.empty()) out << "  " << node.label;
    out << '\n';
  }
  return out.str();
}

}  // namespace deq
