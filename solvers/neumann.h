#pragma once

#include <vector>

#include "solvers/linear_residual.h"

namespace deq {

/// The Neumann series u_k = sum_{t <= k} (J^T)^t w. The residual of u_k is its next term, so terms + 1 products tell
/// how good every partial sum is.
///
/// Status of a sample: max_steps when all terms were added; diverged when a term outgrew the guard, or nonfinite when
/// one was inf or nan: u is then the partial sum with the smallest next term, and `best_step` its number of terms.
class Neumann final : public LinearSolver {
 public:
  /// Errors (RequestError): terms below 1, max_growth not above 1.
  Neumann(const StateSpec& spec, StateOps& ops, const NeumannSeries& options);

  void layout(Slab& workspace) override;
  /// Whatever u is on entry, the series begins with w.
  void solve(const LinearSystem& system, StateView u, SolveReport& report) override;

 private:
  void observe(int step, SolveReport& report);

  StateSpec spec_;
  StateOps* ops_;
  NeumannSeries options_;
  std::vector<double> ones_;
  StateView sum_;
  std::vector<std::uint8_t> running_;
  std::vector<std::uint8_t> takes_;  // the partial sum becomes u
  std::vector<double> norm2_;        // [batch] of the next term
  std::vector<double> sum_norm2_;    // [batch] of the partial sum and its next term
  std::vector<double> first_norm_;   // [batch] |w|
  std::vector<double> smallest_;     // [batch] of the terms so far
};

}  // namespace deq
