#pragma once

#include <cstdint>
#include <vector>

#include "solvers/bilevel/problem.h"

namespace deq {

/// Two forms of HOAG's step. `executed` repeats what the published programs compute, quirks included; `clean` is what
/// they describe. docs/bilevel.md lists the differences.
enum class AdaptiveForm : std::uint8_t { executed, clean };

struct AdaptiveStepOptions {
  AdaptiveForm form = AdaptiveForm::executed;
  double bound = 12;        ///< lambda stays in [-bound, bound]
  double first_length = 2;  ///< clean: length of the first move over sqrt(p); the executed form moves by 2
  bool operator==(const AdaptiveStepOptions&) const = default;
};

/// What became of the lambda that was evaluated.
enum class StepVerdict : std::uint8_t {
  longer,      ///< accepted, and the next step may be longer
  kept,        ///< accepted, step length unchanged
  rejected,    ///< F grew: the step length was halved and lambda went back
  stationary,  ///< the gradient is zero; nothing moved
};

/// The adaptive step of HOAG: gradient descent on lambda with a Lipschitz constant L that is learnt on the way.
///
/// executed: each call moves by 1/L; unless F grew to 1.2 times the last value it then moves a second time. On growth
/// it takes back its own tentative move only, not the one that led to the growth.
/// clean: one move of 1/L from the last accepted lambda; when F grew, lambda returns there with L doubled.
///
/// Source: F. Pedregosa, Hyperparameter optimization with approximate gradient, ICML 2016, and its published code.
class AdaptiveStep {
 public:
  /// @param size  p >= 1
  /// @throws Error when an option is out of range
  AdaptiveStep(const AdaptiveStepOptions& options, std::int64_t size);

  /// @param value     F at lambda
  /// @param gradient  [p] its (estimated) gradient there
  /// @param next_tolerance, tolerance  eps of the next and of this outer iteration
  /// @param lambda    [p] the point that was evaluated; on return the next one
  StepVerdict step(double value, ConstVector gradient, double next_tolerance, double tolerance, Vector lambda);

  /// What the executed form multiplies the next inner tolerance with: exp(min lambda before the last step - min of the
  /// array that its code takes for the first lambda, which is the present one until the first rejection). 1 when clean.
  [[nodiscard]] double tolerance_factor() const;
  /// L; 0 before the first step.
  [[nodiscard]] double lipschitz() const { return lipschitz_; }

 private:
  StepVerdict step_executed(double value, ConstVector gradient, double next_tolerance, double tolerance, Vector lambda);
  StepVerdict step_clean(double value, ConstVector gradient, double tolerance, Vector lambda);
  /// lambda -= g / L, inside the bounds.
  void move(ConstVector gradient, double rate, Vector lambda) const;

  AdaptiveStepOptions options_;
  double lipschitz_ = 0;
  double last_value_ = 0;
  bool has_value_ = false;
  bool has_rejected_ = false;
  double previous_minimum_ = 0;
  double reference_minimum_ = 0;
  std::vector<double> accepted_lambda_;    ///< clean: [p]
  std::vector<double> accepted_gradient_;  ///< clean: [p]
};

}  // namespace deq
