#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "core/arena.h"
#include "core/plan.h"
#include "core/program.h"
#include "core/rewrite.h"
#include "core/row_rule.h"
#include "core/sample_runs.h"
#include "core/schedule.h"
#include "core/solve.h"

namespace deq {

/// A launch with what a message needs to name it.
struct Launch {
  std::unique_ptr<Kernel> kernel;
  NodeId node = 0;
};

/// A parameter of a program; `copy` is null where kernels work on the tensor itself.
struct BoundParameter {
  NodeId node = 0;
  std::shared_ptr<Tensor> tensor;
  ParameterCopy* copy = nullptr;
  Tensor memory = {};         // shares the bytes that kernels are bound to
  std::uint64_t version = 0;  // of the tensor when the program last saw it
};

/// After a run: the value at `from` replaces the parameter at `to`, unless an optimiser wrote it in place.
struct Store {
  const void* from = nullptr;
  void* to = nullptr;
  std::size_t parameter = 0;  // which
};

/// What a program is made of. Compiled in program_compile.cpp, executed in program.cpp.
struct Program::State {
  std::uint64_t source = 0;  // id of the graph it was compiled from, which may be gone
  Backend* backend = nullptr;
  ProgramOptions options;
  Rewritten rewritten;
  ProgramSchedule schedule;
  MemoryPlan plan;
  std::shared_ptr<Arena> arena;
  std::vector<std::vector<std::uint8_t>> output_used;  // [node][output]
  std::vector<Launch> launches;                        // by position
  std::vector<SampleRun> sample_runs;                  // launches of loops that run sample by sample
  std::vector<std::size_t>
      constant_runs;                    // launches of constant rate: once, and again after other programs of the arena
  std::vector<std::size_t> step_runs;   // when parameters changed
  std::vector<std::size_t> batch_runs;  // every run
  std::vector<std::unique_ptr<Segment>> step_segments, batch_segments;
  std::vector<EquilibriumKernel*> equilibria;
  std::vector<LinearSolveKernel*> adjoints, tangents;  // by equilibrium: the last of each; null where there is none
  bool is_training = false;
  bool are_constants_stale = true;
  bool is_step_stale = true;
  bool has_run = false;              // since the arena became this program's
  std::vector<NodeId> unbound;       // inputs without a value
  bool are_parameters_stale = true;  // the host may have written them since they were last sent
  std::vector<BoundParameter> parameters;
  std::vector<Store> stores;
  std::atomic_flag is_running;

  [[nodiscard]] const Graph& graph() const { return *rewritten.graph; }
  [[nodiscard]] bool shares_parameters() const {
    const bool is_host = backend->device().kind == DeviceKind::cpu && backend->storage(DType::f32) == DType::f32;
    return is_host || backend->keeps_parameters();
  }
  [[nodiscard]] std::byte* base(int buffer) const {
    return arena->data() + plan.buffers[static_cast<std::size_t>(buffer)].offset;
  }
  [[nodiscard]] void* address(Place place) const {
    if (place.is_external) return address(graph().storage(place.parameter));
    return place.buffer == Place::kNone ? nullptr : base(place.buffer) + place.offset;
  }
  [[nodiscard]] void* address(const std::shared_ptr<Tensor>& parameter) const {
    const ParameterCopy* copy = backend->parameter_copy(parameter);
    return copy ? copy->data : parameter->raw();
  }
  [[nodiscard]] void* address(Ref ref) const { return address(plan.place(ref)); }

  void find_used_outputs();
  void lower();
  std::unique_ptr<Kernel> lower_node(NodeId id);
  std::unique_ptr<Kernel> lower_solve(const Equilibrium& op, const Node& node);
  std::unique_ptr<Kernel> lower_linear_solve(const LinearSolve& op);
  [[nodiscard]] Scratch scratch() const;
  /// Binds everything to addresses in `arena`.
  void settle(std::shared_ptr<Arena> given);
  void bind_all();
  /// Addresses of the launches of a sample run.
  void bind_samples(const SampleRun& run);
  [[nodiscard]] SampleAddress sample_address(Ref ref, Reading reading, std::int64_t samples) const;
  void bind_solve(std::size_t solve);
  void bind_rungs(std::size_t solve, RegionMap& map);
  /// True when the launch at `position` is one of a replay of this solve's loop, and not of a loop inside it.
  [[nodiscard]] bool runs_in(int position, std::size_t solve) const;
  /// Those of the launches at `positions`, sample runs as one.
  [[nodiscard]] std::vector<BoundLaunch> launches_in(Span positions, std::size_t solve) const;
  /// `kernel`, which does what the launches at `positions` do, with the memory that they touch.
  [[nodiscard]] BoundLaunch bound_launch(Kernel* kernel, Span positions) const;
  /// What evaluates the map of a solve for one sample; null where samples cannot be taken apart.
  [[nodiscard]] DepthFirst* samples_of(const SolveSpan& solve) const;
  void sort_by_rate();
  /// ", N samples" when `position` belongs to a rung of the solve.
  [[nodiscard]] std::string rung_at(std::size_t position, int solve) const;
  /// Launches at `positions`, frozen between the solves, which stay launches of their own.
  [[nodiscard]] std::vector<std::unique_ptr<Segment>> segments_of(const std::vector<std::size_t>& positions) const;
  /// Makes the arena this program's: what it kept there is stale if another one had it meanwhile.
  void enter();
  /// True when there is something to bind.
  [[nodiscard]] bool takes_inputs() const;
  /// Errors: the arena holds the values of another program.
  void check_present(std::string_view wanted) const;
  /// Errors: an input was never bound.
  void check_bound() const;
  void execute_constants();
  void execute(std::size_t position);
  /// All of `segments`, which hold the launches at `positions`; one by one when results are checked.
  void execute(const std::vector<std::size_t>& positions, const std::vector<std::unique_ptr<Segment>>& segments);
  [[nodiscard]] bool is_finite(Ref ref) const;
  /// Errors: a result is not finite, or a solve met inf or nan.
  void check_finite(const Launch& launch) const;
  void check_finite_inputs() const;
  /// Marks what depends on parameters that others have written. Errors: a tensor was replaced by another.
  void see_parameters();
  void send_parameters();
  void store_assignments();
  /// True for what may be bound: an input that no solver writes.
  [[nodiscard]] bool is_input(NodeId id) const;
  /// What became of `value`. Errors: it is empty, of another graph, or not needed by the program.
  [[nodiscard]] Ref mapped(Value value) const;
  /// As mapped. Errors: not an input.
  [[nodiscard]] Ref bindable(Value input) const;
  /// As mapped. Errors: not kept until the end of a run; no place; no run yet.
  [[nodiscard]] Ref readable(Value output) const;
  [[nodiscard]] std::optional<NodeId> input_called(const std::string& name) const;
  /// Throws the error of a name that no input has.
  [[noreturn]] void refuse_name(const std::string& name) const;
  void bind(NodeId input, const Tensor& value);
  /// Notes that `input` has a new value.
  void bound(NodeId input);
};

}  // namespace deq
