#pragma once

#include <memory>

#include "core/state_ops.h"
#include "solvers/options.h"
#include "solvers/slab.h"

namespace deq {

/// u = w + J^T u: one linear system a sample.
struct LinearSystem {
  FixedPointMap* vjp = nullptr;  ///< v -> J^T v
  StateView w;
  const InverseEstimate* right = nullptr;  ///< right preconditioner ~ (I - J^T)^-1; null: I
  bool starts_at_zero = false;             ///< u is 0, so its residual is w and costs no product
};

/// A method that works on the linear adjoint system alone. Samples never mix.
class LinearSolver {
 public:
  virtual ~LinearSolver() = default;
  virtual void layout(Slab& workspace) = 0;
  /// Improves u, the starting point on entry, and fills `report` (sized by the caller). map_calls counts products with
  /// J^T, the one that measures the residual of the result included; best_step 0 says that u of a sample is still its
  /// starting point. residual is |w + J^T u - u| in the norm of the tolerance.
  virtual void solve(const LinearSystem& system, StateView u, SolveReport& report) = 0;
};

/// The linear solver of these options; null when they need none.
std::unique_ptr<LinearSolver> make_linear_solver(const StateSpec& spec, StateOps& ops, const AdjointOptions& options);

}  // namespace deq
