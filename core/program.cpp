#include "core/program.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>

#include "core/program_state.h"

namespace deq {
namespace {

template <class T>
bool all_finite(const void* data, std::int64_t elements) {
  return std::all_of(static_cast<const T*>(data), static_cast<const T*>(data) + elements,
                     [](T x) { return std::isfinite(x); });
}

/// Keeps other threads out of a program while it runs.
class Turn {
 public:
  explicit Turn(std::atomic_flag& taken) : taken_(taken) {
    check(!taken.test_and_set(), "program", "is running in another thread: give each thread a program of its own");
  }
  ~Turn() { taken_.clear(); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  std::atomic_flag& taken_;
};

}  // namespace

bool Program::State::is_finite(Ref ref) const {
  const TensorType& type = graph().type(ref);
  const void* data = address(ref);
  if (!data || !is_float(type.dtype)) return true;
  const bool is_double = backend->storage(type.dtype) == DType::f64;
  const std::int64_t elements = type.shape.elements();
  Tensor values(is_double ? DType::f64 : DType::f32, type.shape);
  backend->download(values.raw(), data, values.bytes());
  return is_double ? all_finite<double>(values.raw(), elements) : all_finite<float>(values.raw(), elements);
}

void Program::State::check_finite(const Launch& launch) const {
  const Node& node = graph().node(launch.node);
  for (std::uint32_t i = 0; i < node.outputs.size(); ++i)
    check(is_finite(Ref{launch.node, i}), name_of(node.op), "output ", i, " ", node.outputs[i], " of node %",
          launch.node, " is not finite (layer '", node.label, "')");
  // Solvers return the best finite iterate, so a solve is asked what it met.
  const auto* forward = dynamic_cast<const EquilibriumKernel*>(launch.kernel.get());
  const auto* adjoint = dynamic_cast<const LinearSolveKernel*>(launch.kernel.get());
  if (forward == nullptr && adjoint == nullptr) return;
  const SolveReport& report = forward ? forward->report() : adjoint->report();
  const int lost = report.count(SolveStatus::nonfinite);
  check(lost == 0, name_of(node.op), "met inf or nan in ", lost, " of ", report.status.size(), " samples (layer '",
        node.label, "')");
}

void Program::State::check_finite_inputs() const {
  for (const std::vector<NodeId>* given : {&graph().inputs(), &graph().parameters()})
    for (const NodeId id : *given)
      check(graph().node(id).rate >= Rate::iterate || is_finite(Ref{id, 0}), "program", "input '",
            graph().input_name(id), "' is not finite");
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

void Program::State::enter() {
  check(arena != nullptr, "program", "was compiled for its plan only and has no place yet");
  if (!arena->enter(this)) return;
  are_constants_stale = is_step_stale = true;
  has_run = false;
  unbound.clear();
  std::ranges::copy_if(graph().inputs(), std::back_inserter(unbound), [&](NodeId id) { return is_input(id); });
}

bool Program::State::takes_inputs() const {
  return std::ranges::any_of(graph().inputs(), [&](NodeId id) { return is_input(id); });
}

void Program::State::check_present(std::string_view wanted) const {
  check(arena != nullptr, "program", "was compiled for its plan only and has no place yet");
  check(arena->holds(this), "program", "another program of the same arena took the place of its ", wanted);
}

void Program::State::check_bound() const {
  if (unbound.empty()) return;
  const std::string& name = graph().input_name(unbound.front());
  throw Error(
      concat("program: input '", name, "' was never bound",
             name == "rng_seed" ? "; random layers draw by it: i64[2], a seed and the number of the step" : ""));
}

void Program::State::execute_constants() {
  for (const std::size_t position : constant_runs) execute(position);
  are_constants_stale = false;
}

void Program::run() {
  State& s = state();
  const Turn turn(s.is_running);
  if (!s.takes_inputs()) s.enter();
  s.check_present("inputs; bind them all again");
  s.check_bound();
  s.see_parameters();
  s.has_run = false;  // nothing can be read of a run that is cut short
  if (s.are_constants_stale) s.execute_constants();
  if (s.is_step_stale) s.send_parameters();
  if (s.options.checks_finite) s.check_finite_inputs();
  if (s.is_step_stale) {
    s.execute(s.step_runs, s.step_segments);
    s.is_step_stale = s.is_training;
  }
  s.execute(s.batch_runs, s.batch_segments);
  s.store_assignments();
  s.has_run = true;
}

std::vector<Program::LaunchTime> Program::profile() {
  using Clock = std::chrono::steady_clock;
  State& s = state();
  s.see_parameters();
  if (s.is_step_stale || !s.has_run) run();
  s.has_run = false;
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
  s.has_run = true;
  return out;
}

void Program::limit_steps(int max_steps) {
  for (EquilibriumKernel* equilibrium : state().equilibria) equilibrium->solver().limit_steps(max_steps);
}

Program::Program(std::unique_ptr<State> state) : state_(std::move(state)) {}

Program::State& Program::state() const {
  check(state_ != nullptr, "program", "was moved from and is empty");
  return *state_;
}

Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;
Program::~Program() = default;

}  // namespace deq
