#include "core/program.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iomanip>

#include "core/pack.h"
#include "core/program_state.h"

namespace deq {
namespace {

/// Converts elements between f32 and f64 in host memory: what a backend that stores f32 as f64 needs.
void convert(const void* from, DType from_type, void* to, std::int64_t elements) {
  if (from_type == DType::f32) {
    std::copy_n(static_cast<const float*>(from), elements, static_cast<double*>(to));
  } else {
    std::transform(static_cast<const double*>(from), static_cast<const double*>(from) + elements,
                   static_cast<float*>(to), [](double x) { return static_cast<float>(x); });
  }
}

/// Elements in host memory to the backend. Types differ on the reference backend alone, which computes in host memory.
void send(Backend& backend, const void* from, DType from_type, void* to, DType to_type, std::int64_t elements) {
  if (from_type == to_type)
    backend.upload(to, from, static_cast<std::size_t>(elements) * size_of(from_type));
  else
    convert(from, from_type, to, elements);
}

/// As `send`, the other way.
void fetch(Backend& backend, const void* from, DType from_type, void* to, DType to_type, std::int64_t elements) {
  if (from_type == to_type)
    backend.download(to, from, static_cast<std::size_t>(elements) * size_of(from_type));
  else
    convert(from, from_type, to, elements);
}

template <class T>
bool all_finite(const void* data, std::int64_t elements) {
  return std::all_of(static_cast<const T*>(data), static_cast<const T*>(data) + elements,
                     [](T x) { return std::isfinite(x); });
}

}  // namespace

void Program::State::check_finite(const Launch& launch) const {
  const Node& node = graph().node(launch.node);
  for (std::uint32_t i = 0; i < node.outputs.size(); ++i) {
    const TensorType& type = node.outputs[i];
    const void* data = address(Ref{launch.node, i});
    if (!data || !is_float(type.dtype)) continue;
    const bool is_double = backend->storage(type.dtype) == DType::f64;
    const std::int64_t elements = type.shape.elements();
    Tensor values(is_double ? DType::f64 : DType::f32, type.shape);
    backend->download(values.raw(), data, values.bytes());
    check(is_double ? all_finite<double>(values.raw(), elements) : all_finite<float>(values.raw(), elements),
          name_of(node.op), "output ", i, " ", type, " of node %", launch.node, " is not finite (layer '", node.label,
          "')");
  }
}

void Program::State::execute(std::size_t position) {
  launches[position].kernel->run();
  if (options.checks_finite) [[unlikely]]
    check_finite(launches[position]);
}

void Program::State::execute(const std::vector<std::size_t>& positions,
                             const std::vector<std::unique_ptr<Segment>>& segments) {
  if (options.checks_finite) {
    for (const std::size_t position : positions) execute(position);
  } else {
    for (const auto& segment : segments) segment->run();
  }
}

void Program::State::send_parameters() {
  if (backend->keeps_parameters()) {
    if (!are_parameters_stale) return;
    for (const auto& [tensor, copy] : parameters)
      if (!copy->is_ahead) backend->upload(copy->data, tensor->raw(), tensor->bytes());
    are_parameters_stale = false;
    return;
  }
  if (shares_parameters()) return;
  for (const NodeId id : graph().parameters()) {
    const Ref ref{id, 0};
    if (plan.place(ref).buffer == Place::kNone) continue;
    const auto storage = graph().storage(id);
    send(*backend, storage->raw(), storage->dtype(), address(ref), backend->storage(storage->dtype()),
         storage->shape().elements());
  }
}

void Program::State::store_assignments() {
  for (const auto& [from, to, parameter] : stores) {
    const auto& [tensor, copy] = parameter;
    if (copy) {
      if (from != to) backend->copy(to, from, tensor->bytes());
      copy->is_ahead = true;
    } else if (from != to) {  // else an optimiser wrote it in place
      fetch(*backend, from, backend->storage(tensor->dtype()), to, tensor->dtype(), tensor->shape().elements());
    }
  }
}

void Program::State::enter() {
  check(arena != nullptr, "program", "was compiled for its plan only and has no place yet");
  if (!arena->enter(this)) return;
  are_constants_stale = is_step_stale = true;
  has_run = false;
  unbound.clear();
  for (const NodeId id : graph().inputs())
    if (graph().rate(Ref{id, 0}) < Rate::iterate) unbound.push_back(id);
}

bool Program::State::takes_inputs() const {
  return std::ranges::any_of(graph().inputs(), [&](NodeId id) { return graph().rate(Ref{id, 0}) < Rate::iterate; });
}

bool Program::State::is_input(NodeId id) const {
  return std::ranges::find(graph().inputs(), id) != graph().inputs().end();
}

void Program::State::check_present(std::string_view wanted) const {
  check(arena != nullptr, "program", "was compiled for its plan only and has no place yet");
  check(arena->holds(this), "program", "another program of the same arena took the place of its ", wanted);
}

void Program::State::execute_constants() {
  for (const std::size_t position : constant_runs) execute(position);
  are_constants_stale = false;
}

void Program::run() {
  State& s = *state_;
  if (!s.takes_inputs()) s.enter();
  s.check_present("inputs; bind them all again");
  check(s.unbound.empty(), "program", "input '", s.unbound.empty() ? "" : s.graph().input_name(s.unbound.front()),
        "' was never bound");
  if (s.are_constants_stale) s.execute_constants();
  if (s.is_step_stale) {
    s.send_parameters();
    s.execute(s.step_runs, s.step_segments);
    s.is_step_stale = s.is_training;
  }
  s.execute(s.batch_runs, s.batch_segments);
  s.store_assignments();
  s.has_run = true;
}

std::vector<Program::LaunchTime> Program::profile() {
  using Clock = std::chrono::steady_clock;
  State& s = *state_;
  if (s.is_step_stale || !s.has_run) run();
  std::vector<LaunchTime> out;
  s.backend->synchronize();
  for (const std::size_t position : s.batch_runs) {
    const auto start = Clock::now();
    s.execute(position);
    s.backend->synchronize();
    const std::chrono::duration<double, std::milli> elapsed = Clock::now() - start;
    const Node& node = s.graph().node(s.launches[position].node);
    out.push_back({name_of(node.op), node.label, elapsed.count()});
  }
  s.store_assignments();
  return out;
}

void Program::limit_steps(int max_steps) {
  for (EquilibriumKernel* equilibrium : state_->equilibria) equilibrium->solver().limit_steps(max_steps);
}

void Program::parameters_changed() {
  state_->is_step_stale = true;
  state_->are_parameters_stale = true;
}

void Program::fetch_parameters() {
  for (const auto& [tensor, copy] : state_->parameters) {
    if (!copy || !copy->is_ahead) continue;
    state_->backend->download(tensor->raw(), copy->data, tensor->bytes());
    copy->is_ahead = false;
  }
}

Ref Program::State::mapped(Value value) const {
  check(&value.owner("program") == source, "program",
        "the value belongs to another graph than the program was compiled from");
  check(value.ref.node < rewritten.refs.size() && !rewritten.refs[value.ref.node].empty(), "program",
        "the value is no part of this program: nothing that it computes needs it");
  return rewritten.refs[value.ref.node][value.ref.output];
}

Ref Program::State::bindable(Value input) const {
  const Ref ref = mapped(input);
  check(is_input(ref.node), "program", "only inputs can be bound, the value is the result of ",
        name_of(graph().node(ref.node).op));
  return ref;
}

void Program::State::bound(NodeId input) {
  std::erase(unbound, input);
  const Rate rate = graph().node(input).rate;
  if (rate <= Rate::step) is_step_stale = true;
  if (rate == Rate::constant) are_constants_stale = true;
}

void Program::State::bind(NodeId input, const Tensor& value) {
  const TensorType& type = graph().node(input).outputs[0];
  const DType stored = backend->storage(type.dtype);
  check(value.shape() == type.shape && (value.dtype() == type.dtype || value.dtype() == stored), "program", "input '",
        graph().input_name(input), "' is ", type, ", got ", value.type());
  enter();
  send(*backend, value.raw(), value.dtype(), address(Ref{input, 0}), stored, type.shape.elements());
  bound(input);
}

void Program::bind(Value input, const Tensor& value) { state_->bind(state_->bindable(input).node, value); }

void Program::bind(Value input, const PixelBatch& images) {
  const Ref ref = state_->bindable(input);
  const TensorType& type = state_->graph().type(ref);
  PixelFeed* const feed = state_->backend->pixel_feed();
  check(feed != nullptr, "program", name_of(state_->backend->device()), " takes no 8-bit images");
  check(type.dtype == DType::f32 && type.shape == images.shape, "program", "input '",
        state_->graph().input_name(ref.node), "' is ", type, ", got 8-bit images ", images.shape);
  state_->enter();
  feed->deliver(images, state_->address(ref));
  state_->bound(ref.node);
}

bool Program::has_input(const std::string& input_name) const {
  const Graph& graph = state_->graph();
  return std::any_of(graph.inputs().begin(), graph.inputs().end(),
                     [&](NodeId id) { return graph.input_name(id) == input_name; });
}

void Program::bind(const std::string& input_name, const Tensor& value) {
  for (const NodeId id : state_->graph().inputs())
    if (state_->graph().input_name(id) == input_name) return state_->bind(id, value);
  check(false, "program", "has no input called '", input_name, "'");
}

Ref Program::State::readable(Value output) const {
  const Ref ref = mapped(output);
  const bool is_kept = std::ranges::find(rewritten.outputs, ref) != rewritten.outputs.end();
  check(is_kept || is_input(ref.node) || graph().storage(ref.node) != nullptr, "program", "the value (",
        name_of(graph().node(ref.node).op), ' ', graph().type(ref),
        ") is no output of this program, which may have used its memory again: name it when you compile");
  check_present("results");
  check(has_run || is_input(ref.node), "program", "has not run since its inputs were bound: there is nothing to read");
  return ref;
}

void Program::read(Value output, Tensor& into) const {
  const Ref ref = state_->readable(output);
  const TensorType& type = state_->graph().type(ref);
  const DType stored = state_->backend->storage(type.dtype);
  const auto is_real = [](DType dtype) { return dtype == DType::f32 || dtype == DType::f64; };
  check(into.shape() == type.shape && (into.dtype() == stored || (is_real(into.dtype()) && is_real(stored))), "program",
        "output is ", type, ", got room for ", into.type());
  fetch(*state_->backend, state_->address(ref), stored, into.raw(), into.dtype(), type.shape.elements());
}

Tensor Program::read(Value output) const {
  Tensor out(state_->graph().type(state_->readable(output)));
  read(output, out);
  return out;
}

// Inspection

Program::Program(std::unique_ptr<State> state) : state_(std::move(state)) {}
Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;
Program::~Program() = default;

const SolveReport* Program::forward_report(std::size_t equilibrium) const {
  return equilibrium < state_->equilibria.size() ? &state_->equilibria[equilibrium]->report() : nullptr;
}

const SolveReport* Program::backward_report(std::size_t equilibrium) const {
  if (equilibrium >= state_->adjoints.size() || !state_->adjoints[equilibrium]) return nullptr;
  return &state_->adjoints[equilibrium]->report();
}

FixedPointMap* Program::map(std::size_t equilibrium) {
  return equilibrium < state_->equilibria.size() ? &state_->equilibria[equilibrium]->map() : nullptr;
}

FixedPointMap* Program::vjp_map(std::size_t equilibrium) {
  if (equilibrium >= state_->adjoints.size() || !state_->adjoints[equilibrium]) return nullptr;
  RegionMap& map = state_->adjoints[equilibrium]->map();
  return map.launches() ? &map : nullptr;
}

std::size_t Program::peak_bytes() const { return state_->plan.peak_bytes; }
std::size_t Program::step_launches() const { return state_->step_runs.size(); }
std::size_t Program::launches() const { return state_->step_runs.size() + state_->batch_runs.size(); }

std::size_t Program::map_launches(std::size_t equilibrium) const {
  return equilibrium < state_->equilibria.size() ? state_->equilibria[equilibrium]->map().launches() : 0;
}

std::size_t Program::map_bytes(std::size_t equilibrium) const {
  const State& s = *state_;
  std::size_t bytes = 0, solves = 0;
  for (const SolveSpan& solve : s.schedule.solves) {
    Kernel* const kernel = s.launches[static_cast<std::size_t>(solve.last)].kernel.get();
    if (solve.role != RegionRole::map || dynamic_cast<EquilibriumKernel*>(kernel) == nullptr) continue;
    if (solves++ != equilibrium) continue;
    for (int position = solve.own.first; position < solve.own.last; ++position) {
      const Launch& launch = s.launches[static_cast<std::size_t>(position)];
      const Node& node = s.graph().node(launch.node);
      if (launch.kernel == nullptr) continue;
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
  const State& s = *state_;
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
