#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/dtype.h"
#include "core/solve_report.h"

namespace deq {

class StateOps;

/// Layout of a solver state: one contiguous buffer, block i holds [batch, block_elems[i]].
/// A sample is one row of every block; nothing is ever concatenated. dtype is f32 or f64.
struct StateSpec {
  int batch = 1;
  std::vector<std::int64_t> block_elems;
  DType dtype = DType::f32;
  int first = 0;  ///< place of the first sample among the rows of each block
  int rows = 0;   ///< rows of a block in memory, where that is more than `batch`; 0: `batch`

  /// Elements of one sample, summed over blocks.
  [[nodiscard]] std::int64_t sample_elems() const {
    std::int64_t n = 0;
    for (const std::int64_t elems : block_elems) n += elems;
    return n;
  }
  /// Samples in memory, of which a part may be meant.
  [[nodiscard]] int layout_batch() const { return rows > 0 ? rows : batch; }
  /// Elements in memory.
  [[nodiscard]] std::int64_t elements() const { return sample_elems() * layout_batch(); }
  [[nodiscard]] std::size_t bytes() const { return static_cast<std::size_t>(elements()) * size_of(dtype); }
  /// The same memory, one sample of it: what is done with that layout touches the rows of this sample alone.
  [[nodiscard]] StateSpec sample(int index) const {
    return {.batch = 1, .block_elems = block_elems, .dtype = dtype, .first = first + index, .rows = layout_batch()};
  }
  bool operator==(const StateSpec&) const = default;
};

/// A borrowed state: device memory laid out by a StateSpec that its owner keeps.
struct StateView {
  void* data = nullptr;
};

/// z -> f(z; x, theta) with x and theta frozen. The only thing a solver knows of f.
class FixedPointMap {
 public:
  virtual ~FixedPointMap() = default;
  [[nodiscard]] virtual const StateSpec& spec() const = 0;
  /// Write z here before `replay`.
  virtual StateView input() = 0;
  /// f(z) appears here.
  virtual StateView output() = 0;
  /// output = f(input). No allocation, no host wait. Errors: Stopped (core/stopped.h), which solvers let pass.
  virtual void replay() = 0;
  /// As `replay`, for the samples with a nonzero entry in `running` [batch] (empty: all) alone: the output rows of the
  /// others are not defined. @returns samples computed, at least those asked for
  virtual int replay_running(std::span<const std::uint8_t> running) {
    (void)running;
    replay();
    return spec().batch;
  }

  /// How many threads may call `replay_sample` at once, for different samples; 0: it may not be called.
  [[nodiscard]] virtual int sample_threads() const { return 0; }
  /// Row `sample` of the output = f of that row of the input, computed by the calling thread; the same bits as
  /// `replay`.
  virtual void replay_sample(int sample) { (void)sample; }

  // Beside f, at the z of the last `replay`; null unless the policy needs it (EquilibriumPolicy::forward_needs).
  /// v -> J(z)^T v.
  virtual FixedPointMap* pullback() { return nullptr; }
  /// v -> J(z) v.
  virtual FixedPointMap* pushforward() { return nullptr; }
  /// dL/dz at z, up to a factor, of the loss that follows; takes no input.
  virtual FixedPointMap* outer_gradient() { return nullptr; }
};

/// M ~ (I - df/dz)^-1 at one iterate, block-diagonal over samples.
class InverseEstimate {
 public:
  virtual ~InverseEstimate() = default;
  /// out = M x; `x` and `out` must not overlap.
  virtual void apply(StateView x, StateView out) const = 0;
  /// out = M^T x; `x` and `out` must not overlap.
  virtual void apply_transpose(StateView x, StateView out) const = 0;
  /// Updates that act on each sample, [batch].
  [[nodiscard]] virtual std::span<const int> rank() const = 0;
};

/// M^T as an estimate of its own, so that a transpose is a type and never a convention.
class TransposedEstimate final : public InverseEstimate {
 public:
  explicit TransposedEstimate(const InverseEstimate& of) : of_(&of) {}
  void apply(StateView x, StateView out) const override { of_->apply_transpose(x, out); }
  void apply_transpose(StateView x, StateView out) const override { of_->apply(x, out); }
  [[nodiscard]] std::span<const int> rank() const override { return of_->rank(); }

 private:
  const InverseEstimate* of_;
};
inline TransposedEstimate transposed(const InverseEstimate& estimate) { return TransposedEstimate(estimate); }

/// Forward solver of one equilibrium node. Created when the program is compiled, bound to arena memory once,
/// then run once per batch without allocating.
class FixedPointSolver {
 public:
  virtual ~FixedPointSolver() = default;
  /// Memory needed during a solve only.
  [[nodiscard]] virtual std::size_t workspace_bytes() const = 0;
  /// Memory that holds the inverse estimate until the backward solve has used it.
  [[nodiscard]] virtual std::size_t estimate_bytes() const = 0;
  virtual void bind(void* workspace, void* estimate) = 0;
  /// Step limit of the solves to come, at most the one it was made with. Solvers without a limit ignore it.
  virtual void limit_steps(int max_steps) { (void)max_steps; }
  /// `z` holds the starting point on entry and the best iterate of each sample on return.
  /// Numerical failure is a status in `report`, never an exception.
  virtual void solve(FixedPointMap& map, StateView z, SolveReport& report) = 0;
  /// The estimate at the returned iterate, valid until the next `solve`.
  [[nodiscard]] virtual const InverseEstimate& estimate() const = 0;
};

/// Backward solver: u ~ (I - J^T)^-1 w, where the forward's estimate is M ~ (I - J)^-1. Given v -> J v and M^T instead,
/// it solves (I - J) u = w.
class AdjointSolver {
 public:
  virtual ~AdjointSolver() = default;
  [[nodiscard]] virtual std::size_t workspace_bytes() const = 0;
  virtual void bind(void* workspace) = 0;
  /// `vjp` maps v to J^T v (linear). `forward` tells which samples' estimates may be shared.
  /// `w` is the incoming cotangent, `u` receives the result; they must not overlap.
  virtual void solve(FixedPointMap& vjp, const InverseEstimate& inverse, const SolveReport& forward, StateView w,
                     StateView u, SolveReport& report) = 0;
};

/// Differentiation through `steps` damped applications z <- (1 - damping) z + damping f(z) that follow the solve,
/// instead of an adjoint solve (phantom gradient; with damping 1 the last steps of an unrolled network).
struct Unrolling {
  int steps = 5;         ///< >= 1
  double damping = 1.0;  ///< in (0, 1]
  bool operator==(const Unrolling&) const = default;
};

/// What a forward solver evaluates beside f.
struct ForwardNeeds {
  bool pullback = false;
  bool pushforward = false;
  bool outer_gradient = false;
};

/// How an equilibrium node is solved and differentiated: makes the two solvers for a state.
/// Held by the graph's Equilibrium node; two nodes are equal only if they share the policy object.
class EquilibriumPolicy {
 public:
  virtual ~EquilibriumPolicy() = default;
  [[nodiscard]] virtual std::unique_ptr<FixedPointSolver> make_solver(const StateSpec& spec, StateOps& ops) const = 0;
  [[nodiscard]] virtual std::unique_ptr<AdjointSolver> make_adjoint(const StateSpec& spec, StateOps& ops) const = 0;
  /// False when the backward never evaluates J^T (Jacobian-free, shared estimate): the vjp segment is then not built.
  [[nodiscard]] virtual bool needs_vjp() const = 0;
  /// True when samples that stopped are to leave the batch of the forward solve (core/rebatch.h).
  [[nodiscard]] virtual bool compacts() const { return false; }
  /// Set when gradients are those of damped applications after the solve; no adjoint is then made.
  [[nodiscard]] virtual std::optional<Unrolling> unrolling() const { return std::nullopt; }
  /// Regions that the forward solve wants beside f; only those are built.
  [[nodiscard]] virtual ForwardNeeds forward_needs() const { return {}; }
  /// One line for plans and logs, e.g. "broyden(max_steps=18, rel 1e-3), shine".
  [[nodiscard]] virtual std::string describe() const = 0;
};

}  // namespace deq
