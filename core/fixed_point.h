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

namespace deq {

class StateOps;

/// Layout of a solver state: one contiguous buffer, block i holds [batch, block_elems[i]].
/// A sample is one row of every block; nothing is ever concatenated. dtype is f32 or f64.
struct StateSpec {
  int batch = 1;
  std::vector<std::int64_t> block_elems;
  DType dtype = DType::f32;

  /// Elements of one sample, summed over blocks.
  [[nodiscard]] std::int64_t sample_elems() const {
    std::int64_t n = 0;
    for (const std::int64_t elems : block_elems) n += elems;
    return n;
  }
  [[nodiscard]] std::int64_t elements() const { return sample_elems() * batch; }
  [[nodiscard]] std::size_t bytes() const { return static_cast<std::size_t>(elements()) * size_of(dtype); }
  bool operator==(const StateSpec&) const = default;
};

/// A borrowed state: device memory laid out by a StateSpec that its owner keeps.
struct StateView {
  void* data = nullptr;
};

/// What the caller may rely on after a solve.
enum class SolveStatus : std::uint8_t {
  converged,  ///< the sample met the tolerance; z and M belong together
  max_steps,  ///< budget used; z is the best iterate seen, M is cut back to it
  stalled,    ///< no progress for `patience` steps; as max_steps
  diverged,   ///< residual grew past the limit; z is the best iterate, do not share M
  nonfinite,  ///< inf or nan appeared; z is the last finite best, do not share M
};
inline constexpr int kSolveStatusCount = 5;
std::string_view name_of(SolveStatus status);
/// True where another solver may do better: stalled, diverged, nonfinite.
bool is_breakdown(SolveStatus status);

/// Record of one solve, per sample. Vectors are sized once (`resize`), so a solve fills them without allocating.
struct SolveReport {
  std::vector<SolveStatus> status;        ///< [batch]
  std::vector<int> steps;                 ///< [batch] steps until the sample stopped
  std::vector<int> best_step;             ///< [batch] step of the returned iterate; 0 is the starting point
  std::vector<double> residual;           ///< [batch] residual of the returned iterate, in the norm of the tolerance
  std::vector<double> initial_residual;   ///< [batch]
  std::vector<std::uint8_t> is_fallback;  ///< [batch] the guard replaced the estimate (backward only)
  int map_calls = 0;                      ///< evaluations of the map
  std::int64_t sample_evaluations = 0;    ///< samples computed by them all; 0: not counted
  bool is_out_of_time = false;            ///< the time budget ended the solve
  int steps_run = 0;                      ///< steps of the slowest sample
  int breakdowns = 0;                     ///< updates skipped because a denominator was (almost) zero
  int restarts = 0;                       ///< times a full history was emptied or reduced to make room
  int jacobian_products = 0;              ///< products with J or J^T that the solver itself asked for
  std::vector<std::uint8_t> solver;       ///< [batch] place in the fallback chain of the solver that ended it; 0: first
  std::vector<SolveStatus> cause;         ///< [batch] how the solver before that one ended; read where solver > 0
  std::string_view method;                ///< name of the method or estimator that ran; lives as long as its solver

  void resize(int batch);
  [[nodiscard]] double mean_residual() const;
  [[nodiscard]] double mean_steps() const;
  [[nodiscard]] double fallback_fraction() const;
  /// Share of batch * map_calls that was not computed because samples had stopped; 0 for solvers that do not count.
  [[nodiscard]] double evaluations_saved() const;
  [[nodiscard]] int count(SolveStatus status) const;
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
  /// output = f(input). No allocation, no host wait.
  virtual void replay() = 0;
  /// As `replay`, for the samples with a nonzero entry in `running` [batch] (empty: all) alone: the output rows of the
  /// others are not defined. @returns samples computed, at least those asked for
  virtual int replay_running(std::span<const std::uint8_t> running) {
    (void)running;
    replay();
    return spec().batch;
  }

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

/// Backward solver: u ~ (I - J^T)^-1 w.
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
