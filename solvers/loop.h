#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/fixed_point.h"
#include "core/state_ops.h"
#include "solvers/identity_estimate.h"
#include "solvers/method.h"
#include "solvers/stop_rule.h"

namespace deq {

/// The one loop around all methods: evaluates, measures, keeps the best iterate of each sample, stops samples one by
/// one, cuts the estimate back to the returned iterates, writes the report.
///
/// Samples that stopped are not asked for again: a map that compacts does not compute them. `step` k leads from iterate
/// k - 1 to iterate k; f is evaluated at every iterate, so once more than there are steps.
class Loop final : public FixedPointSolver {
 public:
  /// Errors: options that make no sense.
  Loop(const StateSpec& spec, StateOps& ops, const SolverOptions& options, EstimateUse use = EstimateUse::kept);
  /// Around a method of the caller's; `options.method` is not read.
  Loop(const StateSpec& spec, StateOps& ops, const SolverOptions& options, EstimateUse use,
       std::unique_ptr<Method> method, std::string name);

  [[nodiscard]] std::size_t workspace_bytes() const override { return workspace_bytes_; }
  [[nodiscard]] std::size_t estimate_bytes() const override { return estimate_bytes_; }
  void bind(void* workspace, void* estimate) override;
  /// Errors: not within 1 ... options().max_steps, for which memory is bound.
  void limit_steps(int max_steps) override { stop_.limit_steps(max_steps); }
  void solve(FixedPointMap& map, StateView z, SolveReport& report) override { solve_from(map, z, nullptr, report); }
  /// As `solve`, with `base` as the first M where the method can start from one (Broyden's product form); null: I.
  void solve_from(FixedPointMap& map, StateView z, const InverseEstimate* base, SolveReport& report);
  /// Goes on with the samples of `report` that ended as diverged, stalled or nonfinite, from their best iterates, and
  /// reports them anew as those of solver `place` of a chain. The other samples' rows, entries and estimates stay.
  void take_over(FixedPointMap& map, StateView z, int place, SolveReport& report);
  /// M = I when the estimate is dropped.
  [[nodiscard]] const InverseEstimate& estimate() const override;
  [[nodiscard]] const SolverOptions& options() const { return options_; }
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  void run(FixedPointMap& map, StateView z, const InverseEstimate* base, SolveReport& report);
  void measure(FixedPointMap& map, int step, StateView z, SolveReport& report);
  void finish(SolveReport& report);

  StateSpec spec_;
  StateOps* ops_;
  SolverOptions options_;
  EstimateUse use_;
  std::unique_ptr<Method> method_;
  std::string name_;
  StopRule stop_;
  IdentityEstimate identity_;
  std::size_t workspace_bytes_ = 0;
  std::size_t estimate_bytes_ = 0;
  std::vector<double> residual_norm_;
  std::vector<double> objective_;
  std::vector<double> best_objective_;
  std::vector<std::uint8_t> improved_;
  std::vector<std::uint8_t> active_;  // [batch] samples of this run
  std::vector<int> steps_before_;     // [batch] steps of the solvers before
};

/// "picard", "anderson", "broyden", "broyden-lowrank", "adjoint-broyden", "adjoint-broyden-opa" or "newton-krylov".
std::string_view name_of(const SolverMethod& method);

}  // namespace deq
