#include "core/program.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <iomanip>

#include "core/plan.h"
#include "core/rewrite.h"
#include "core/solve.h"

namespace deq {
namespace {

/// A launch with what a message needs to name it.
struct Launch {
  std::unique_ptr<Kernel> kernel;
  NodeId node = 0;
};

/// Copies elements, converting between f32 and f64 where the two sides differ.
void transfer(const void* from, DType from_type, void* to, DType to_type, std::int64_t elements) {
  if (from_type == to_type) {
    std::memcpy(to, from, static_cast<std::size_t>(elements) * size_of(from_type));
  } else if (from_type == DType::f32) {
    std::copy_n(static_cast<const float*>(from), elements, static_cast<double*>(to));
  } else {
    std::transform(static_cast<const double*>(from), static_cast<const double*>(from) + elements,
                   static_cast<float*>(to), [](double x) { return static_cast<float>(x); });
  }
}

template <class T>
bool all_finite(const void* data, std::int64_t elements) {
  return std::all_of(static_cast<const T*>(data), static_cast<const T*>(data) + elements,
                     [](T x) { return std::isfinite(x); });
}

}  // namespace

struct Program::State {
  Backend* backend = nullptr;
  ProgramOptions options;
  Rewritten rewritten;
  Schedule schedule;
  MemoryPlan plan;
  AlignedBytes arena;
  std::vector<std::vector<std::uint8_t>> output_used;  // [node][output]
  std::vector<Launch> launches;                        // by position
  std::vector<std::size_t> constant_runs;              // launches of constant rate: once, after binding
  std::vector<std::size_t> step_runs;                  // when parameters changed
  std::vector<std::size_t> batch_runs;                 // every run
  std::vector<EquilibriumKernel*> equilibria;
  std::vector<AdjointKernel*> adjoints;  // by equilibrium; null where there is none
  bool is_training = false;
  bool is_step_stale = true;

  [[nodiscard]] const Graph& graph() const { return *rewritten.graph; }
  [[nodiscard]] bool shares_parameters() const {
    return backend->device().kind == DeviceKind::cpu && backend->storage(DType::f32) == DType::f32;
  }
  [[nodiscard]] std::byte* base(int buffer) const {
    return arena.get() + plan.buffers[static_cast<std::size_t>(buffer)].offset;
  }
  [[nodiscard]] void* address(Place place) const {
    if (place.is_external) return graph().storage(place.parameter)->raw();
    return place.buffer == Place::kNone ? nullptr : base(place.buffer) + place.offset;
  }
  [[nodiscard]] void* address(Ref ref) const { return address(plan.place(ref)); }

  void find_used_outputs();
  void lower();
  std::unique_ptr<Kernel> lower_node(NodeId id);
  std::unique_ptr<Kernel> lower_solve(const Equilibrium& op, const Node& node);
  std::unique_ptr<Kernel> lower_adjoint(const AdjointSolve& op);
  [[nodiscard]] Scratch scratch() const;
  void bind_all();
  void bind_solve(std::size_t solve);
  void sort_by_rate();
  void execute(std::size_t position);
  void check_finite(const Launch& launch) const;
  void upload_parameters();
  void store_assignments();
  [[nodiscard]] Ref mapped_input(Value input) const;
};

// Compilation

std::unique_ptr<Kernel> Program::State::lower_solve(const Equilibrium& op, const Node& node) {
  StateSpec spec{
      .batch = static_cast<int>(node.outputs[0].shape[0]), .block_elems = {}, .dtype = backend->storage(DType::f32)};
  for (const TensorType& type : node.outputs)
    spec.block_elems.push_back(type.shape.elements() / std::max<std::int64_t>(1, type.shape[0]));
  auto kernel = std::make_unique<EquilibriumKernel>(op.policy->make_solver(spec, backend->state_ops()), spec);
  equilibria.push_back(kernel.get());
  adjoints.push_back(nullptr);
  return kernel;
}

std::unique_ptr<Kernel> Program::State::lower_adjoint(const AdjointSolve& op) {
  std::size_t index = 0;
  for (const Launch& launch : launches) {
    if (launch.node == op.equilibrium) break;
    if (std::holds_alternative<Equilibrium>(graph().node(launch.node).op)) ++index;
  }
  check(index < equilibria.size(), "adjoint_solve", "its equilibrium is not part of the program");
  const auto& policy = std::get<Equilibrium>(graph().node(op.equilibrium).op).policy;
  auto kernel = std::make_unique<AdjointKernel>(
      policy->make_adjoint(equilibria[index]->map().spec(), backend->state_ops()), *equilibria[index]);
  adjoints[index] = kernel.get();
  return kernel;
}

std::unique_ptr<Kernel> Program::State::lower_node(NodeId id) {
  const Node& node = graph().node(id);
  if (const auto* op = std::get_if<Equilibrium>(&node.op)) return lower_solve(*op, node);
  if (const auto* op = std::get_if<AdjointSolve>(&node.op)) return lower_adjoint(*op);
  if (std::holds_alternative<Reshape>(node.op) || std::holds_alternative<ImplicitGradient>(node.op)) return nullptr;
  std::vector<TensorType> inputs;
  for (const Ref& ref : node.inputs) inputs.push_back(graph().type(ref));
  return backend->lower({node.op, inputs, node.outputs, output_used[id], node.label});
}

void Program::State::find_used_outputs() {
  for (NodeId id = 0; id < graph().size(); ++id) output_used.emplace_back(graph().node(id).outputs.size(), 0);
  const auto use = [&](Ref ref) { output_used[ref.node][ref.output] = 1; };
  for (const NodeId id : schedule.order)
    for (const Ref& ref : graph().node(id).inputs) use(ref);
  for (const SolveSpan& solve : schedule.solves)
    for (const Ref& ref : graph().region(solve.region).results) use(ref);
  for (const Ref& ref : rewritten.outputs) use(ref);
  for (const Assignment& assignment : graph().assignments()) use(assignment.updated);
}

void Program::State::lower() {
  find_used_outputs();
  for (const NodeId id : schedule.order) launches.push_back({lower_node(id), id});
}

Scratch Program::State::scratch() const {
  Scratch out;
  for (const Launch& launch : launches)
    out.kernel_bytes.push_back(launch.kernel ? launch.kernel->workspace_bytes() : 0);
  for (const SolveSpan& solve : schedule.solves) {
    Kernel* kernel = launches[static_cast<std::size_t>(solve.last)].kernel.get();
    if (auto* forward = dynamic_cast<EquilibriumKernel*>(kernel)) {
      out.solver_bytes.push_back(forward->solver().workspace_bytes());
      out.estimate_bytes.push_back(forward->solver().estimate_bytes());
    } else {
      out.solver_bytes.push_back(dynamic_cast<AdjointKernel&>(*kernel).solver().workspace_bytes());
      out.estimate_bytes.push_back(0);
    }
  }
  return out;
}

void Program::State::bind_solve(std::size_t index) {
  const SolveSpan& solve = schedule.solves[index];
  Kernel* kernel = launches[static_cast<std::size_t>(solve.last)].kernel.get();
  auto* forward = dynamic_cast<EquilibriumKernel*>(kernel);
  auto* adjoint = dynamic_cast<AdjointKernel*>(kernel);
  RegionMap& map = forward ? forward->map() : adjoint->map();
  map.bind(base(plan.state_buffer[index]), base(plan.result_buffer[index]));
  for (int position = solve.first; position < solve.last; ++position)
    if (Kernel* launch = launches[static_cast<std::size_t>(position)].kernel.get()) map.add(launch);
  std::byte* to = base(plan.result_buffer[index]);
  for (const Ref& result : graph().region(solve.region).results) {
    const std::size_t bytes =
        static_cast<std::size_t>(graph().type(result).shape.elements()) * size_of(map.spec().dtype);
    if (address(result) != to) map.add(RegionMap::Preset{static_cast<const std::byte*>(address(result)), to, bytes});
    to += bytes;
  }
  void* workspace = base(plan.solver_buffer[index]);
  if (forward)
    forward->solver().bind(workspace, base(plan.estimate_buffer[index]));
  else
    adjoint->solver().bind(workspace);
}

void Program::State::bind_all() {
  for (std::size_t position = 0; position < launches.size(); ++position) {
    const Launch& launch = launches[position];
    if (!launch.kernel) continue;
    const Node& node = graph().node(launch.node);
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
    for (const Ref& ref : node.inputs) inputs.push_back(address(ref));
    for (std::uint32_t i = 0; i < node.outputs.size(); ++i) outputs.push_back(address(Ref{launch.node, i}));
    int scratch_buffer = plan.kernel_buffer[position];
    for (std::size_t i = 0; i < schedule.solves.size(); ++i)
      if (schedule.solves[i].node == launch.node) scratch_buffer = plan.cotangent_buffer[i];
    launch.kernel->bind(inputs, outputs, scratch_buffer == Place::kNone ? nullptr : base(scratch_buffer));
  }
  for (std::size_t i = 0; i < schedule.solves.size(); ++i) bind_solve(i);
}

void Program::State::sort_by_rate() {
  for (std::size_t position = 0; position < launches.size(); ++position) {
    const Launch& launch = launches[position];
    if (!launch.kernel || schedule.solve_of[launch.node] >= 0) continue;
    const Rate rate = graph().node(launch.node).rate;
    const bool is_kept = !is_training && rate <= Rate::step;
    (!is_kept ? batch_runs : rate == Rate::constant ? constant_runs : step_runs).push_back(position);
  }
}

Program Program::compile(const Graph& graph, std::span<const Value> outputs, Backend& backend, ProgramOptions options) {
  auto state = std::make_unique<State>();
  state->backend = &backend;
  state->options = options;
  state->rewritten = rewrite(graph, outputs, backend);
  state->schedule = make_schedule(state->graph(), state->rewritten.outputs);
  state->is_training = !graph.assignments().empty();
  state->lower();
  const Scratch scratch = state->scratch();
  state->plan = plan_memory({.graph = state->graph(),
                             .schedule = state->schedule,
                             .outputs = state->rewritten.outputs,
                             .backend = backend,
                             .scratch = scratch,
                             .shares_parameters = state->shares_parameters(),
                             .keeps_slow_rates = !state->is_training});
  if (options.plans_only) return Program(std::move(state));
  state->arena = backend.allocate(state->plan.peak_bytes);
  state->bind_all();
  state->sort_by_rate();
  for (const std::size_t position : state->constant_runs) state->execute(position);
  return Program(std::move(state));
}

// Execution

void Program::State::check_finite(const Launch& launch) const {
  const Node& node = graph().node(launch.node);
  for (std::uint32_t i = 0; i < node.outputs.size(); ++i) {
    const TensorType& type = node.outputs[i];
    const void* data = address(Ref{launch.node, i});
    if (!data || !is_float(type.dtype)) continue;
    const bool is_double = backend->storage(type.dtype) == DType::f64;
    const std::int64_t elements = type.shape.elements();
    check(is_double ? all_finite<double>(data, elements) : all_finite<float>(data, elements), name_of(node.op),
          "output ", i, " ", type, " of node %", launch.node, " is not finite (layer '", node.label, "')");
  }
}

void Program::State::execute(std::size_t position) {
  launches[position].kernel->run();
  if (options.checks_finite) [[unlikely]]
    check_finite(launches[position]);
}

void Program::State::upload_parameters() {
  if (shares_parameters()) return;
  for (const NodeId id : graph().parameters()) {
    const Ref ref{id, 0};
    if (plan.place(ref).buffer == Place::kNone) continue;
    const auto storage = graph().storage(id);
    transfer(storage->raw(), storage->dtype(), address(ref), backend->storage(storage->dtype()),
             storage->shape().elements());
  }
}

void Program::State::store_assignments() {
  for (const Assignment& assignment : graph().assignments()) {
    const auto storage = graph().storage(assignment.target.node);
    const void* from = address(assignment.updated);
    if (from == storage->raw()) continue;  // an optimiser wrote it in place
    transfer(from, backend->storage(storage->dtype()), storage->raw(), storage->dtype(), storage->shape().elements());
  }
}

void Program::run() {
  State& s = *state_;
  check(s.arena != nullptr || s.plan.peak_bytes == 0, "program", "was compiled for its plan only");
  if (s.is_step_stale) {
    s.upload_parameters();
    for (const std::size_t position : s.step_runs) s.execute(position);
    s.is_step_stale = s.is_training;
  }
  for (const std::size_t position : s.batch_runs) s.execute(position);
  s.store_assignments();
}

std::vector<Program::LaunchTime> Program::profile() {
  using Clock = std::chrono::steady_clock;
  State& s = *state_;
  if (s.is_step_stale) run();
  std::vector<LaunchTime> out;
  for (const std::size_t position : s.batch_runs) {
    const auto start = Clock::now();
    s.execute(position);
    const std::chrono::duration<double, std::milli> elapsed = Clock::now() - start;
    const Node& node = s.graph().node(s.launches[position].node);
    out.push_back({name_of(node.op), node.label, elapsed.count()});
  }
  s.store_assignments();
  return out;
}

void Program::parameters_changed() { state_->is_step_stale = true; }

Ref Program::State::mapped_input(Value input) const {
  check(!input.is_empty() && input.ref.node < rewritten.refs.size() && !rewritten.refs[input.ref.node].empty(),
        "program", "the value is not an input of this program");
  return rewritten.refs[input.ref.node][input.ref.output];
}

void Program::bind(Value input, const Tensor& value) {
  const Ref ref = state_->mapped_input(input);
  const TensorType& type = state_->graph().type(ref);
  check(value.type() == type || (value.shape() == type.shape && value.dtype() == state_->backend->storage(type.dtype)),
        "program", "input '", state_->graph().input_name(ref.node), "' is ", type, ", got ", value.type());
  transfer(value.raw(), value.dtype(), state_->address(ref), state_->backend->storage(type.dtype),
           type.shape.elements());
}

bool Program::has_input(const std::string& input_name) const {
  const Graph& graph = state_->graph();
  return std::any_of(graph.inputs().begin(), graph.inputs().end(),
                     [&](NodeId id) { return graph.input_name(id) == input_name; });
}

void Program::bind(const std::string& input_name, const Tensor& value) {
  const Graph& graph = state_->graph();
  for (const NodeId id : graph.inputs()) {
    if (graph.input_name(id) != input_name) continue;
    const TensorType& type = graph.type(Ref{id, 0});
    check(value.shape() == type.shape &&
              (value.dtype() == type.dtype || value.dtype() == state_->backend->storage(type.dtype)),
          "program", "input '", input_name, "' is ", type, ", got ", value.type());
    transfer(value.raw(), value.dtype(), state_->address(Ref{id, 0}), state_->backend->storage(type.dtype),
             type.shape.elements());
    return;
  }
  check(false, "program", "has no input called '", input_name, "'");
}

void Program::read(Value output, Tensor& into) const {
  const Ref ref = state_->mapped_input(output);
  const TensorType& type = state_->graph().type(ref);
  check(into.shape() == type.shape, "program", "output is ", type, ", got room for ", into.type());
  const void* from = state_->address(ref);
  check(from != nullptr, "program", "the value is not kept by this program");
  transfer(from, state_->backend->storage(type.dtype), into.raw(), into.dtype(), type.shape.elements());
}

Tensor Program::read(Value output) const {
  Tensor out(output.type());
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
std::size_t Program::launches() const { return state_->step_runs.size() + state_->batch_runs.size(); }

std::size_t Program::map_launches(std::size_t equilibrium) const {
  return equilibrium < state_->equilibria.size() ? state_->equilibria[equilibrium]->map().launches() : 0;
}

std::string Program::describe() const {
  const State& s = *state_;
  std::ostringstream out;
  out << "arena " << s.plan.peak_bytes << " bytes, " << s.plan.buffers.size() << " buffers, " << s.plan.in_place_count
      << " results in place\n";
  for (std::size_t position = 0; position < s.launches.size(); ++position) {
    const NodeId id = s.launches[position].node;
    const Node& node = s.graph().node(id);
    const int solve = s.schedule.solve_of[id];
    out << std::setw(5) << position << ' ' << (solve >= 0 ? "  loop " : "") << name_of(node.op);
    if (solve >= 0) out << " [solve " << solve << ']';
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
