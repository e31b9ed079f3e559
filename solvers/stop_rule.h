#pragma once

#include <vector>

#include "core/fixed_point.h"
#include "core/state_ops.h"
#include "solvers/options.h"

namespace deq {

/// What the loop measured at one iterate, per sample.
struct Measurement {
  std::span<const double> residual_norm;
  std::span<const double> objective;  ///< in the norm of the tolerance; infinite when not finite
};

/// Errors (RequestError): no steps, a tolerance as below, another limit that is negative.
void check_limits(const SolverOptions& options);
/// Errors (RequestError, beginning with `where`): a tolerance that is negative or not finite.
void check_tolerance(const Tolerance& tolerance, std::string_view where);

/// Decides per sample when a solve is over, and why. Samples are judged alone. What a sample returns is its best
/// iterate (Loop), which with a fixed number of steps (tolerance 0) or one that ran out may lie before the last step.
class StopRule {
 public:
  StopRule(const SolverOptions& options, int batch);

  /// Fewer steps than the options allow. Errors: not within 1 ... options.max_steps.
  void limit_steps(int max_steps);
  [[nodiscard]] int max_steps() const { return max_steps_; }

  /// Judges the samples of `active` [batch]; empty: all.
  void start(SampleMask active = {});
  /// Judges the samples still running at the iterate after `step` steps and records those that stop in `report`.
  void observe(int step, const Measurement& measured, SolveReport& report);
  /// Ends the samples still running, as when the steps are used up.
  void give_up(int step, SolveReport& report);
  /// Samples that were running before the last `observe` and whose residual was finite.
  [[nodiscard]] SampleMask learning() const { return learning_; }
  /// Samples that go on.
  [[nodiscard]] SampleMask running() const { return running_; }
  [[nodiscard]] bool any_running() const;
  [[nodiscard]] bool any_learning() const;

 private:
  /// True when the sample stops; `status` says why.
  [[nodiscard]] bool stops(std::size_t sample, int step, const Measurement& measured, SolveStatus& status);

  SolverOptions options_;
  int max_steps_;
  std::vector<std::uint8_t> running_;
  std::vector<std::uint8_t> learning_;
  std::vector<double> first_norm_;  // |r| at the starting point
  std::vector<double> mark_;        // objective at the last real progress
  std::vector<int> since_mark_;     // steps since then
};

}  // namespace deq
