#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/builder.h"
#include "core/fixed_point.h"

// One line turns a function into a deep equilibrium layer:
//
//   const Value z = equilibrium([&](Value z, Value x) { return tanh(inner(z) + x); }, x, {.policy = policy});
//
// f is traced twice: once on the solver's iterate, which becomes the region that is replayed, and once on the solution,
// which is what gradients flow through. It must therefore trace to the same nodes each time, which is checked; layers
// with random masks own their draws (layers/dropout.h) and satisfy this.

namespace deq {

/// What an equilibrium passes on.
enum class EquilibriumOutput : std::uint8_t {
  by_mode,  ///< f(z*) in training graphs, z* in inference graphs: the published multiscale models
  applied,  ///< f(z*)
  iterate,  ///< z*; its gradients still enter through f at z*
};

/// States in, states of the same types out. What else f reads (parameters, injection) it captures.
using StateFunction = std::function<std::vector<Value>(std::span<const Value>)>;

struct EquilibriumOptions {
  std::shared_ptr<const EquilibriumPolicy> policy;  ///< how to solve, forward and backward; required
  EquilibriumOutput output = EquilibriumOutput::by_mode;
  std::string name = "equilibrium";  ///< for labels and input names
  /// The loss that follows, as a function of the states: a scalar whose gradient solvers ask for that care for the
  /// backward (OPA). Traced inside the loop, where running statistics are not assigned; must draw nothing at random.
  std::function<Value(std::span<const Value>)> outer_loss = {};
};

/// An equilibrium in a graph. One entry per state in each vector.
struct EquilibriumTrace {
  std::vector<Value> values;   ///< pass these on: differentiable
  std::vector<Value> iterate;  ///< z*: a leaf, no gradient passes it
  std::vector<Value> applied;  ///< y = f(z*), differentiable in all but z*; empty when nothing needs it
  /// Results of f in the applications that a policy with an Unrolling adds, by application: their cotangents, added
  /// up, are what other estimators call u.
  std::vector<std::vector<Value>> applications;
  NodeId node = 0;  ///< the solve, for reports
};

/// Adds z* = f(z*) to the graph of `z0`, started at z0 (states [B, ..], f32). Where f keeps the B samples apart, each
/// is solved and reported on its own; where it joins them (nodes of a graph, batch norm in training) all are one
/// system, with one entry in the report. Program::describe says which and why. Under a policy with an Unrolling a
/// training graph passes on what its damped applications make of z*, whatever `output` says. Errors: no policy; no
/// state; a state that is a scalar or not f32; f is empty, returns other types or another number of states than it was
/// given, draws random numbers that a second trace would draw anew, or is another function at its second trace.
EquilibriumTrace trace_equilibrium(const StateFunction& f, const std::vector<Value>& z0,
                                   const EquilibriumOptions& options);

/// As above, the values to pass on alone.
std::vector<Value> equilibrium(const StateFunction& f, const std::vector<Value>& z0, const EquilibriumOptions& options);

/// z <- (1 - damping) z + damping f(z), `steps` times from z0, ordinary nodes. `results`, if any, receives what each f
/// gave. Errors: steps below 1, damping outside (0, 1].
std::vector<Value> damped(const StateFunction& f, std::vector<Value> z0, const Unrolling& unrolling,
                          std::vector<std::vector<Value>>* results = nullptr);

/// f applied `steps` times from z0, ordinary nodes: pre-training, and the truth that implicit gradients are tested on.
std::vector<Value> unrolled(const StateFunction& f, std::vector<Value> z0, int steps);

/// Zeros of type `like`, in its graph: the usual starting point.
Value zeros_like(Value like);

/// z = f(z, x) for one state that starts at `z0`.
template <class Cell>
requires std::invocable<const Cell&, Value, Value> Value equilibrium(const Cell& f, Value x, Value z0,
                                                                     const EquilibriumOptions& options) {
  const auto states = [&](std::span<const Value> z) { return std::vector<Value>{f(z[0], x)}; };
  return equilibrium(StateFunction(states), {z0}, options).front();
}

/// z = f(z, x) for one state like x that starts at zero.
template <class Cell>
requires std::invocable<const Cell&, Value, Value> Value equilibrium(const Cell& f, Value x,
                                                                     const EquilibriumOptions& options) {
  return equilibrium(f, x, zeros_like(x), options);
}

namespace layers {

/// A cell made into a layer. The cell is f(z, x) on Values, or on several states: a vector from (span of states, x).
///   const layers::Equilibrium layer(Cell(scope), {.policy = policy});
///   const Value y = layer(x);
template <class Cell>
struct Equilibrium {
  Equilibrium(Cell f, EquilibriumOptions chosen) : cell(std::move(f)), options(std::move(chosen)) {}

  /// One state like x, started at zero.
  Value operator()(Value x) const requires std::invocable<const Cell&, Value, Value> {
    return equilibrium(cell, x, options);
  }
  /// Any states, started at `z0`.
  std::vector<Value> operator()(Value x, const std::vector<Value>& z0) const {
    return equilibrium(bound_to(x), z0, options);
  }
  /// The same states by `steps` applications instead of a solve.
  [[nodiscard]] std::vector<Value> unrolled(Value x, std::vector<Value> z0, int steps) const {
    return deq::unrolled(bound_to(x), std::move(z0), steps);
  }

  Cell cell;
  EquilibriumOptions options;

 private:
  [[nodiscard]] StateFunction bound_to(Value x) const {
    return [this, x](std::span<const Value> z) -> std::vector<Value> {
      if constexpr (std::invocable<const Cell&, Value, Value>)
        return {cell(z[0], x)};
      else
        return cell(z, x);
    };
  }
};

}  // namespace layers
}  // namespace deq
