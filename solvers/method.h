#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "core/state_ops.h"
#include "solvers/options.h"
#include "solvers/slab.h"

namespace deq {

/// What happens to the estimate after a solve: kept for a backward, or dropped (its memory is workspace, the update
/// at the last iterate is saved).
enum class EstimateUse : std::uint8_t { kept, dropped };

/// Where a solve stands when a method is asked for its next iterate.
struct Iterate {
  int step = 0;                  ///< steps taken so far; 0 at the starting point
  StateView z;                   ///< [batch, elems] current iterate, moved on in place
  StateView f;                   ///< f(z)
  SampleMask learning;           ///< samples whose newest residual belongs into the estimate
  SampleMask advancing;          ///< samples to move on; a subset of `learning`
  SampleMask improved;           ///< samples whose best iterate so far is this one
  FixedPointMap* map = nullptr;  ///< f, for methods that take products with its Jacobian
};

/// What a method did since `start`, beside steps.
struct MethodCounts {
  int restarts = 0;           ///< times a full history was emptied or reduced
  int jacobian_products = 0;  ///< products with J or J^T
  int breakdowns = 0;         ///< updates skipped that `advance` has not returned yet, once StateOps has settled
};

/// One way to get from an iterate to the next and to learn M on the way. The loop owns everything else: counting,
/// finiteness, best iterates, stopping, the report. Contract: only rows of the given samples change.
class Method {
 public:
  virtual ~Method() = default;
  /// Takes its vectors: those that the estimate reads later from `estimate`, the rest from `workspace`.
  virtual void layout(Slab& workspace, Slab& estimate) = 0;
  /// Forgets everything. `base` replaces I as the first M where the method can use it; null: M0 = I.
  virtual void start(const InverseEstimate* base) = 0;
  /// Where the loop writes the residual of the iterate after `step` steps; null when the method does not need it.
  virtual StateView residual_slot(int step) = 0;
  /// Learns from the residual and moves z on. @returns updates skipped because of a vanishing denominator, now or by
  /// the step before where that is not known earlier (MethodCounts::breakdowns)
  virtual int advance(const Iterate& iterate) = 0;
  /// Cuts the estimate of a sample back to its returned iterate.
  virtual void truncate(int sample, int best_step) = 0;
  [[nodiscard]] virtual const InverseEstimate& estimate() const = 0;
  [[nodiscard]] virtual MethodCounts counts() const { return {}; }
};

/// Makes a method for a state: how a solver of your own enters (examples/own_solver.cpp).
using MethodFactory = std::function<std::unique_ptr<Method>(const StateSpec& spec, StateOps& ops)>;

/// The method named by the options, for at most options.max_steps steps.
/// Errors: a memory, damping or mixing that makes no sense.
std::unique_ptr<Method> make_method(const StateSpec& spec, StateOps& ops, const SolverOptions& options,
                                    EstimateUse use = EstimateUse::kept);
/// What the method evaluates beside f.
ForwardNeeds forward_needs(const SolverMethod& method);

}  // namespace deq
