#include <algorithm>

#include "core/pack.h"
#include "core/program_state.h"

namespace deq {

std::unique_ptr<Kernel> Program::State::lower_solve(const Equilibrium& op, const Node& node) {
  const bool is_joint = !graph().region(op.region).joint.empty();
  const std::int64_t batch = is_joint ? 1 : node.outputs[0].shape[0];
  StateSpec spec{.batch = static_cast<int>(batch), .block_elems = {}, .dtype = backend->storage(DType::f32)};
  for (const TensorType& type : node.outputs)
    spec.block_elems.push_back(type.shape.elements() / std::max<std::int64_t>(1, batch));
  auto kernel = std::make_unique<EquilibriumKernel>(op.policy->make_solver(spec, backend->state_ops()), spec, *backend);
  equilibria.push_back(kernel.get());
  adjoints.push_back(nullptr);
  tangents.push_back(nullptr);
  return kernel;
}

std::unique_ptr<Kernel> Program::State::lower_linear_solve(const LinearSolve& op) {
  std::size_t index = 0;
  for (const Launch& launch : launches) {
    if (launch.node == op.equilibrium) break;
    if (std::holds_alternative<Equilibrium>(graph().node(launch.node).op)) ++index;
  }
  check(index < equilibria.size(), name_of(op), "its equilibrium is not part of the program");
  const auto& policy = std::get<Equilibrium>(graph().node(op.equilibrium).op).policy;
  auto kernel =
      std::make_unique<LinearSolveKernel>(policy->make_adjoint(equilibria[index]->map().spec(), backend->state_ops()),
                                          op.system, *equilibria[index], *backend);
  (op.system == ImplicitSystem::adjoint ? adjoints : tangents)[index] = kernel.get();
  return kernel;
}

std::unique_ptr<Kernel> Program::State::lower_node(NodeId id) {
  const Node& node = graph().node(id);
  if (const auto* op = std::get_if<Equilibrium>(&node.op)) return lower_solve(*op, node);
  if (const auto* op = std::get_if<LinearSolve>(&node.op)) return lower_linear_solve(*op);
  if (is_alias(node.op)) return nullptr;
  std::vector<TensorType> inputs;
  for (const Ref& ref : node.inputs) inputs.push_back(graph().type(ref));
  return backend->lower({node.op, inputs, node.outputs, output_used[id], node.label});
}

void Program::State::find_used_outputs() {
  for (NodeId id = 0; id < graph().size(); ++id) output_used.emplace_back(graph().node(id).outputs.size(), 0);
  const auto use = [&](Ref ref) { output_used[ref.node][ref.output] = 1; };
  for (const NodeId id : schedule.order)
    for (const Ref& ref : graph().node(id).inputs) use(ref);
  for (const SolveSpan& solve : schedule.solves) {
    const Region& region = graph().region(solve.region);
    for (const Ref& ref : region.results) use(ref);
    for (const Region::Rung& rung : region.rungs)
      for (const Ref& ref : rung.results) use(ref);
  }
  for (const Ref& ref : rewritten.outputs) use(ref);
  for (const Assignment& assignment : graph().assignments()) use(assignment.updated);
}

void Program::State::lower() {
  find_used_outputs();
  for (const NodeId id : schedule.order) launches.push_back({lower_node(id), id});
  std::vector<Kernel*> kernels;
  for (const Launch& launch : launches) kernels.push_back(launch.kernel.get());
  sample_runs = find_sample_runs(graph(), schedule, kernels, pool_threads());
}

Scratch Program::State::scratch() const {
  Scratch out;
  for (const Launch& launch : launches)
    out.kernel_bytes.push_back(launch.kernel ? launch.kernel->workspace_bytes() : 0);
  for (const SampleRun& run : sample_runs) {
    const auto [first, last] = run.positions;
    std::fill(out.kernel_bytes.begin() + first, out.kernel_bytes.begin() + last, std::size_t{0});
    out.kernel_bytes[static_cast<std::size_t>(first)] = run.kernel->workspace_bytes();
    out.sample_runs.push_back({run.positions, run.kernel->samples(), run.kernel->threads()});
  }
  for (const SolveSpan& solve : schedule.solves) {
    Kernel* kernel = launches[static_cast<std::size_t>(solve.last)].kernel.get();
    if (solve.role != RegionRole::map) {  // the vectors of a solve belong to its map
      out.solver_bytes.push_back(0);
      out.estimate_bytes.push_back(0);
    } else if (auto* forward = dynamic_cast<EquilibriumKernel*>(kernel)) {
      out.solver_bytes.push_back(forward->solver().workspace_bytes());
      out.estimate_bytes.push_back(forward->solver().estimate_bytes());
    } else {
      out.solver_bytes.push_back(dynamic_cast<LinearSolveKernel&>(*kernel).solver().workspace_bytes());
      out.estimate_bytes.push_back(0);
    }
  }
  return out;
}

void Program::State::bind_solve(std::size_t index) {
  const SolveSpan& solve = schedule.solves[index];
  Kernel* kernel = launches[static_cast<std::size_t>(solve.last)].kernel.get();
  auto* forward = dynamic_cast<EquilibriumKernel*>(kernel);
  auto* adjoint = dynamic_cast<LinearSolveKernel*>(kernel);
  RegionMap& map = (forward ? forward->map() : adjoint->map()).of(solve.role);
  map.bind(base(plan.state_buffer[index]), base(plan.result_buffer[index]));
  map.stop_on(solve.last < schedule.first_update ? options.stop : nullptr);
  std::size_t count = 0;
  for (int position = solve.own.first; position < solve.own.last; ++position)
    if (runs_in(position, index)) ++count;
  map.set(launches_in(solve.own, index), count, samples_of(solve));
  std::byte* to = base(plan.result_buffer[index]);
  for (const Ref& result : graph().region(solve.region).results) {
    const std::size_t bytes =
        static_cast<std::size_t>(graph().type(result).shape.elements()) * size_of(map.spec().dtype);
    if (address(result) != to) map.add(RegionMap::Preset{static_cast<const std::byte*>(address(result)), to, bytes});
    to += bytes;
  }
  if (solve.role != RegionRole::map) return;
  bind_rungs(index, map);
  void* workspace = base(plan.solver_buffer[index]);
  if (forward)
    forward->solver().bind(workspace, base(plan.estimate_buffer[index]));
  else
    adjoint->solver().bind(workspace);
}

bool Program::State::runs_in(int position, std::size_t solve) const {
  const Launch& launch = launches[static_cast<std::size_t>(position)];
  return launch.kernel != nullptr && schedule.solve_of[launch.node] == static_cast<int>(solve);
}

std::vector<BoundLaunch> Program::State::launches_in(Span positions, std::size_t solve) const {
  std::vector<BoundLaunch> out;
  for (int position = positions.first; position < positions.last; ++position) {
    if (schedule.solve_of[launches[static_cast<std::size_t>(position)].node] != static_cast<int>(solve)) continue;
    const auto run =
        std::ranges::find_if(sample_runs, [&](const SampleRun& r) { return r.positions.first == position; });
    if (run != sample_runs.end()) {
      out.push_back(bound_launch(run->kernel.get(), run->positions));
      position = run->positions.last - 1;
    } else if (Kernel* kernel = launches[static_cast<std::size_t>(position)].kernel.get()) {
      out.push_back(bound_launch(kernel, {position, position + 1}));
    }
  }
  return out;
}

BoundLaunch Program::State::bound_launch(Kernel* kernel, Span positions) const {
  BoundLaunch out{.kernel = kernel, .reads = {}, .writes = {}};
  const auto range_of = [&](Ref ref) {
    const TensorType& type = graph().type(ref);
    return ByteRange{static_cast<const std::byte*>(address(ref)),
                     static_cast<std::size_t>(type.shape.elements()) * size_of(backend->storage(type.dtype))};
  };
  for (int position = positions.first; position < positions.last; ++position) {
    const Launch& launch = launches[static_cast<std::size_t>(position)];
    if (!launch.kernel) continue;
    const Node& node = graph().node(launch.node);
    for (std::size_t i = 0; i < node.inputs.size(); ++i)
      if (reads_operand(graph(), *backend, node, i)) out.reads.push_back(range_of(node.inputs[i]));
    for (std::uint32_t i = 0; i < node.outputs.size(); ++i)
      if (address(Ref{launch.node, i}) != nullptr) out.writes.push_back(range_of(Ref{launch.node, i}));
    if (const int scratch = plan.kernel_buffer[static_cast<std::size_t>(position)]; scratch != Place::kNone)
      out.writes.push_back({base(scratch), plan.buffers[static_cast<std::size_t>(scratch)].bytes});
  }
  return out;
}

DepthFirst* Program::State::samples_of(const SolveSpan& solve) const {
  const auto run = std::ranges::find_if(sample_runs, [&](const SampleRun& r) {
    return r.is_whole_map && r.positions.first == solve.own.first && r.positions.last == solve.own.last;
  });
  if (run == sample_runs.end()) return nullptr;
  const std::int64_t batch = graph().type(graph().region(solve.region).states.front()).shape[0];
  return run->kernel->samples() == batch ? run->kernel.get() : nullptr;
}

void Program::State::bind_rungs(std::size_t index, RegionMap& map) {
  const SolveSpan& solve = schedule.solves[index];
  const std::vector<Region::Rung>& rungs = graph().region(solve.region).rungs;
  for (std::size_t i = 0; i < rungs.size(); ++i) {
    Ladder::Rung bound{.rows = rungs[i].rows,
                       .input = base(plan.rung_state_buffer[index][i]),
                       .output = base(plan.rung_result_buffer[index][i]),
                       .segment = backend->freeze(launches_in(solve.rungs[i], index))};
    for (std::size_t k = 0; k < rungs[i].captured.size(); ++k) {
      const Ref from = rungs[i].captured[k], to = rungs[i].gathered[k];
      const TensorType& type = graph().type(to);
      const std::size_t bytes = static_cast<std::size_t>(type.shape.elements()) * size_of(backend->storage(type.dtype));
      bound.captures.push_back({.from = static_cast<const std::byte*>(address(from)),
                                .to = static_cast<std::byte*>(address(to)),
                                .row_bytes = bytes / static_cast<std::size_t>(rungs[i].rows)});
    }
    map.ladder().add(std::move(bound));
  }
  map.ladder().prepare();
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
  for (const SampleRun& run : sample_runs) bind_samples(run);
  for (std::size_t i = 0; i < schedule.solves.size(); ++i) bind_solve(i);
  for (const NodeId id : graph().parameters()) {
    const auto storage = graph().storage(id);
    parameters.push_back({.node = id,
                          .tensor = storage,
                          .copy = backend->parameter_copy(storage),
                          .memory = *storage,
                          .version = storage->version()});
  }
  for (const Assignment& assignment : graph().assignments()) {
    const auto bound = std::ranges::find(parameters, assignment.target.node, &BoundParameter::node);
    stores.push_back({.from = address(assignment.updated),
                      .to = address(bound->tensor),
                      .parameter = static_cast<std::size_t>(bound - parameters.begin())});
  }
}

SampleAddress Program::State::sample_address(Ref ref, Reading reading, std::int64_t samples) const {
  const Place place = plan.place(ref);
  auto* first = static_cast<std::byte*>(address(place));
  if (first == nullptr || reading == Reading::whole) return {first};
  if (place.sample_run != Place::kNone)
    return {first, 0, plan.thread_bytes[static_cast<std::size_t>(place.sample_run)]};
  const TensorType& type = graph().type(ref);
  const std::size_t bytes = static_cast<std::size_t>(type.shape.elements()) * size_of(backend->storage(type.dtype));
  return {first, bytes / static_cast<std::size_t>(samples), 0};
}

void Program::State::bind_samples(const SampleRun& run) {
  const int scratch = plan.kernel_buffer[static_cast<std::size_t>(run.positions.first)];
  run.kernel->bind({}, {}, scratch == Place::kNone ? nullptr : base(scratch));
  std::size_t part = 0;
  for (int position = run.positions.first; position < run.positions.last; ++position) {
    const Launch& launch = launches[static_cast<std::size_t>(position)];
    if (!launch.kernel) continue;
    const Node& node = graph().node(launch.node);
    const std::vector<Reading> readings = operand_readings(graph(), node);
    std::vector<SampleAddress> inputs, outputs;
    for (std::size_t i = 0; i < node.inputs.size(); ++i)
      inputs.push_back(sample_address(node.inputs[i], readings[i], run.kernel->samples()));
    for (std::uint32_t i = 0; i < node.outputs.size(); ++i)
      outputs.push_back(sample_address(Ref{launch.node, i}, Reading::rows, run.kernel->samples()));
    run.kernel->place(part++, std::move(inputs), std::move(outputs));
  }
}

void Program::State::sort_by_rate() {
  for (std::size_t position = 0; position < launches.size(); ++position) {
    const Launch& launch = launches[position];
    if (!launch.kernel || schedule.solve_of[launch.node] >= 0) continue;
    const Rate rate = graph().node(launch.node).rate;
    const bool is_kept = !is_training && rate <= Rate::step;
    (!is_kept ? batch_runs : rate == Rate::constant ? constant_runs : step_runs).push_back(position);
  }
  step_segments = segments_of(step_runs);
  batch_segments = segments_of(batch_runs);
}

std::vector<std::unique_ptr<Segment>> Program::State::segments_of(const std::vector<std::size_t>& positions) const {
  std::vector<BoundLaunch> bound;
  for (const std::size_t position : positions) {
    const int at = static_cast<int>(position);
    bound.push_back(bound_launch(launches[position].kernel.get(), {at, at + 1}));
  }
  return freeze_between_solves(*backend, std::move(bound));
}

Program Program::compile(const Graph& graph, std::span<const Value> outputs, Backend& backend, ProgramOptions options) {
  for (std::size_t i = 0; i < outputs.size(); ++i)
    check(&outputs[i].owner("program") == &graph, "program", "output ", i, " belongs to another graph");
  auto state = std::make_unique<State>();
  state->source = graph.id();
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
  state->settle(std::make_shared<Arena>(backend, state->plan.peak_bytes));
  state->enter();
  return Program(std::move(state));
}

void Program::State::settle(std::shared_ptr<Arena> given) {
  arena = std::move(given);
  bind_all();
  sort_by_rate();
}

void Program::place(std::shared_ptr<Arena> arena) {
  check(arena != nullptr, "program", "there is no arena to have a place in");
  check(state().arena == nullptr, "program", "has its place in an arena already");
  check(arena->bytes() >= peak_bytes(), "program", "needs an arena of ", peak_bytes(), " bytes, this one has ",
        arena->bytes());
  state().settle(std::move(arena));
}

}  // namespace deq
