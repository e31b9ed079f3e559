#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/arena.h"
#include "core/backend.h"
#include "core/pixels.h"
#include "core/stopped.h"

namespace deq {

struct ProgramOptions {
  /// Stop at the first inf or nan, in inputs, parameters and after every launch, and name its node; a solve is one
  /// launch.
  bool checks_finite = false;
  bool plans_only = false;  ///< plan without allocating: `peak_bytes` and `describe` work, the rest after `place`
  /// Set from a signal handler or another thread, it ends a run that is solving before the next evaluation of f: `run`
  /// throws Stopped, and parameters and running statistics are what they were before. It is only looked at in solves
  /// that come before every optimiser update. Null: never. To outlive the program.
  const std::atomic<bool>* stop = nullptr;
};

/// A compiled graph: one arena, segments by rate, solves in order. `run` replays it: no allocation, lookup or copy.
/// One thread at a time; several may each have a program and a backend of their own, over the same parameters if none
/// of them assigns. A moved-from program is empty: whatever it is asked is an error.
class Program {
 public:
  /// Plans and lowers what `outputs` (and the graph's assignments) need.
  /// Errors: an empty output or one of another graph, a node without a kernel on `backend`, a value that a solver
  /// iterates where it is none of its f. The program keeps what it needs of `graph`; `backend` must outlive the
  /// program.
  static Program compile(const Graph& graph, std::span<const Value> outputs, Backend& backend,
                         ProgramOptions options = {});
  static Program compile(const Graph& graph, std::initializer_list<Value> outputs, Backend& backend,
                         ProgramOptions options = {}) {
    return compile(graph, std::span(outputs.begin(), outputs.size()), backend, options);
  }

  Program(Program&&) noexcept;
  Program& operator=(Program&&) noexcept;
  ~Program();

  /// Gives a program that was compiled with `plans_only` its place at the start of `arena`, which others may share.
  /// Errors: the program has a place already; the arena is smaller than `peak_bytes`.
  void place(std::shared_ptr<Arena> arena);

  /// Copies `value` into the input. In a shared arena inputs stay until another program is bound or run; bind them all
  /// again then. Errors: not an input of this program, a value of another graph, wrong type, no place.
  void bind(Value input, const Tensor& value);
  /// As above by name. Errors also: no input of that name.
  void bind(const std::string& input_name, const Tensor& value);
  /// As `bind`, from 8-bit images that the backend's PixelFeed normalises. Errors also: the backend has none.
  void bind(Value input, const PixelBatch& images);
  [[nodiscard]] bool has_input(const std::string& input_name) const;

  /// Step limit of every equilibrium from the next run on; solvers refuse more than their policy allows.
  void limit_steps(int max_steps);

  /// Executes everything that changed: the step segment when parameters may have changed, then the batch segment.
  /// Errors: no place; an input was never bound; another program of the arena has run since inputs were bound; the
  /// tensor of a parameter was replaced by another; another thread runs it; Stopped (ProgramOptions::stop).
  void run();
  /// As `run`, measuring every launch outside loops (a solve counts as one), for benchmarks.
  struct LaunchTime {
    std::string_view op;
    std::string label;
    double ms = 0;
  };
  std::vector<LaunchTime> profile();
  /// Tells a program that parameters were changed through their `data`, which nothing else can see (Tensor::touch says
  /// it to all programs): the next run repeats the step segment and, on a device, sends the tensors of all parameters
  /// whose last writer was not the device. What other programs and ParameterStore::set wrote is seen without.
  void parameters_changed();
  /// Brings the tensors of parameters up to date after runs on a device that keeps parameters in its own memory. To be
  /// called before the host reads or changes them; does nothing on other backends.
  void fetch_parameters();

  /// Copies an output to the host, as it was before the run's assignments (f32 on every backend for values of type f32;
  /// room of f64 takes it too). Inputs, and parameters as they are now, can be read as well. Errors: no output; no run
  /// yet; another program of the arena has run since; room of another shape or kind of number.
  void read(Value output, Tensor& into) const;
  [[nodiscard]] Tensor read(Value output) const;

  /// Report of an equilibrium (or of its adjoint solve, or of its tangent solve, the last if there are several) after
  /// `run`; null when the program has none. Equilibria count in the order in which they run, those inside the f of
  /// another one before it; their report is that of their last solve.
  [[nodiscard]] const SolveReport* forward_report(std::size_t equilibrium = 0) const;
  [[nodiscard]] const SolveReport* backward_report(std::size_t equilibrium = 0) const;
  [[nodiscard]] const SolveReport* tangent_report(std::size_t equilibrium = 0) const;
  /// The map of an equilibrium, for benchmarks and audits: replaying it evaluates f at `input()`. What f reads from
  /// outside the loop is sure to be there only if the program's outputs are the states themselves: memory that nothing
  /// later in the program needs is used again after the solve.
  [[nodiscard]] FixedPointMap* map(std::size_t equilibrium = 0);
  [[nodiscard]] FixedPointMap* vjp_map(std::size_t equilibrium = 0);

  /// Bytes of the arena: everything the program allocates for values, workspaces, solver vectors and estimates.
  [[nodiscard]] std::size_t peak_bytes() const;
  /// Segments, nodes, buffers and reuse as text.
  [[nodiscard]] std::string describe() const;
  /// Launches of one run outside solver loops, and of one replay of the first equilibrium's map.
  [[nodiscard]] std::size_t launches() const;
  /// How many of `launches` depend on parameters alone; without assignments they run only when parameters changed.
  [[nodiscard]] std::size_t step_launches() const;
  [[nodiscard]] std::size_t map_launches(std::size_t equilibrium = 0) const;
  /// Bytes that one replay of that map moves when every launch reads its inputs and writes its outputs once.
  [[nodiscard]] std::size_t map_bytes(std::size_t equilibrium = 0) const;

 private:
  struct State;
  explicit Program(std::unique_ptr<State> state);
  /// Errors: the program was moved from.
  [[nodiscard]] State& state() const;
  std::unique_ptr<State> state_;
};

}  // namespace deq
