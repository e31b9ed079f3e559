#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/fixed_point.h"
#include "core/state_ops.h"
#include "solvers/linear_solver.h"
#include "solvers/loop.h"
#include "solvers/options.h"

namespace deq {

/// u ~ (I - J^T)^-1 w by any of AdjointOptions but Phantom, which needs no adjoint.
///
/// Report: map_calls counts products with J^T; residual is |w + J^T u - u| in the norm of the iterative solver, or nan
/// where no product was made (Jacobian-free, shared); is_fallback marks samples that took w instead of M^T w, and those
/// whose solve led nowhere and that therefore took w (nan is then their residual): what comes back is never the zero
/// start of a failed solve.
class Adjoint final : public AdjointSolver {
 public:
  Adjoint(const StateSpec& spec, StateOps& ops, const AdjointOptions& options);

  [[nodiscard]] std::size_t workspace_bytes() const override;
  void bind(void* workspace) override;
  void solve(FixedPointMap& vjp, const InverseEstimate& inverse, const SolveReport& forward, StateView w, StateView u,
             SolveReport& report) override;

 private:
  /// u = M^T w, or w for samples whose estimate is not to be shared; marks those in excluded_.
  void share(const InverseEstimate& inverse, const SolveReport& forward, StateView w, StateView u);

  /// Whether a solve that then failed had come closer before: by half in a loop, by a step elsewhere.
  [[nodiscard]] bool has_gained(const SolveReport& report, std::size_t sample) const;
  /// u = w for samples whose solve failed without gain, or left zeros or something that is not finite; marks them.
  void rescue(StateView w, StateView u, SolveReport& report);

  StateSpec spec_;
  StateOps* ops_;
  AdjointStart start_ = AdjointStart::identity;
  double max_gain_ = 0.0;
  std::unique_ptr<Loop> loop_;            // null when u is the starting point itself or `linear_` improves it
  std::unique_ptr<LinearSolver> linear_;  // likewise
  std::string name_;
  std::vector<double> ones_;
  std::vector<double> norm2_w_;
  std::vector<double> norm2_u_;
  std::vector<std::uint8_t> excluded_;
  std::vector<std::uint8_t> rescued_;
};

/// Errors (RequestError): no steps; a method that asks the adjoint system for products with its own Jacobian or the
/// transpose of it, which it cannot offer: adjoint Broyden and Newton-Krylov.
void check_adjoint(const AdjointOptions& options);
/// True when the backward evaluates J^T.
bool needs_vjp(const AdjointOptions& options);
/// True when the backward reads the forward's estimate.
bool needs_estimate(const AdjointOptions& options);

}  // namespace deq
