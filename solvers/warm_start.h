#pragma once

#include <memory>
#include <vector>

#include "core/fixed_point.h"
#include "core/state_ops.h"
#include "core/tensor.h"

namespace deq {

/// A solver that begins where it ended the time before: for streams whose next batch resembles the last, row by row.
///
/// Rows that ended as diverged or nonfinite begin at the given z0 again, as all do the first time. The solution is the
/// same within the tolerance; how many steps lead to it is not. Memory: one state of its own beside the arena, so that
/// other values of the program cannot overwrite it. What is remembered ends with the solver; no checkpoint holds it.
class WarmStartSolver final : public FixedPointSolver {
 public:
  WarmStartSolver(const StateSpec& spec, StateOps& ops, std::unique_ptr<FixedPointSolver> solver);

  [[nodiscard]] std::size_t workspace_bytes() const override { return solver_->workspace_bytes(); }
  [[nodiscard]] std::size_t estimate_bytes() const override { return solver_->estimate_bytes(); }
  /// Allocates the state that is remembered.
  void bind(void* workspace, void* estimate) override;
  void limit_steps(int max_steps) override { solver_->limit_steps(max_steps); }
  void solve(FixedPointMap& map, StateView z, SolveReport& report) override;
  [[nodiscard]] const InverseEstimate& estimate() const override { return solver_->estimate(); }

 private:
  StateSpec spec_;
  StateOps* ops_;
  std::unique_ptr<FixedPointSolver> solver_;
  AlignedBytes last_;
  std::vector<std::uint8_t> is_usable_;  // [batch] rows of last_ to begin at
};

}  // namespace deq
