#include "solvers/bilevel/adaptive_step.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "solvers/bilevel/vector_ops.h"

namespace deq {
namespace {

// Constants of the published code.
constexpr double kDecrease = 0.25;  // C
constexpr double kSlope = 1.0;      // M
constexpr double kGrowth = 1.2;     // F that grew by this factor rejects
constexpr double kLonger = 0.95;    // of L after an accepted step
constexpr double kSmallGradient = 1e-3;

double smallest(ConstVector lambda) { return *std::min_element(lambda.begin(), lambda.end()); }

}  // namespace

AdaptiveStep::AdaptiveStep(const AdaptiveStepOptions& options, std::int64_t size) : options_(options) {
  check(size >= 1, "adaptive step", "size is ", size, ", expected at least 1");
  check(options.bound > 0 && options.first_length > 0, "adaptive step", "bound is ", options.bound,
        " and first_length ", options.first_length, "; both must be positive");
}

void AdaptiveStep::move(ConstVector gradient, double rate, Vector lambda) const {
  add_scaled(-rate, gradient, lambda);
  for (double& value : lambda) value = std::clamp(value, -options_.bound, options_.bound);
}

double AdaptiveStep::tolerance_factor() const {
  return options_.form == AdaptiveForm::executed ? std::exp(previous_minimum_ - reference_minimum_) : 1.0;
}

StepVerdict AdaptiveStep::step(double value, ConstVector gradient, double next_tolerance, double tolerance,
                               Vector lambda) {
  check(gradient.size() == lambda.size(), "adaptive step", "the gradient has ", gradient.size(), " entries, lambda ",
        lambda.size());
  if (norm(gradient) == 0.0) return StepVerdict::stationary;
  return options_.form == AdaptiveForm::executed ? step_executed(value, gradient, next_tolerance, tolerance, lambda)
                                                 : step_clean(value, gradient, tolerance, lambda);
}

StepVerdict AdaptiveStep::step_executed(double value, ConstVector gradient, double next_tolerance, double tolerance,
                                        Vector lambda) {
  const double length = norm(gradient);
  if (lipschitz_ == 0.0)
    lipschitz_ = length > kSmallGradient ? length / std::sqrt(static_cast<double>(gradient.size())) : 1.0;
  const double rate = 1.0 / lipschitz_;
  const std::vector<double> before(lambda.begin(), lambda.end());
  previous_minimum_ = smallest(lambda);
  move(gradient, rate, lambda);
  const double increment = rate * length;
  const double enough = has_value_
                            ? last_value_ + kDecrease * next_tolerance + tolerance * (kDecrease + kSlope) * increment -
                                  kSlope * lipschitz_ * increment * increment
                            : std::numeric_limits<double>::infinity();
  StepVerdict verdict = StepVerdict::kept;
  if (value <= enough) {
    lipschitz_ *= kLonger;
    verdict = StepVerdict::longer;
  } else if (value >= kGrowth * last_value_) {
    lipschitz_ *= 2;
    verdict = StepVerdict::rejected;
  }
  if (verdict == StepVerdict::rejected) {
    // The code rebinds its lambda here: the array it takes for the first one keeps the tentative values from now on.
    if (!has_rejected_) reference_minimum_ = smallest(lambda);
    has_rejected_ = true;
    copy(before, lambda);
  } else {
    move(gradient, rate, lambda);
    if (!has_rejected_) reference_minimum_ = smallest(lambda);
  }
  last_value_ = value;
  has_value_ = true;
  return verdict;
}

StepVerdict AdaptiveStep::step_clean(double value, ConstVector gradient, double tolerance, Vector lambda) {
  // F is known to about the accuracy of the inner solution: less growth than that proves nothing.
  const double slack = tolerance * std::max(1.0, std::abs(last_value_));
  if (has_value_ && !(value <= last_value_ + slack)) {
    lipschitz_ *= 2;
    copy(accepted_lambda_, lambda);
    move(accepted_gradient_, 1.0 / lipschitz_, lambda);
    return StepVerdict::rejected;
  }
  StepVerdict verdict = StepVerdict::longer;
  if (has_value_) {
    std::vector<double> difference(lambda.size());
    combine(lambda, -1.0, accepted_lambda_, difference);
    const double moved = norm(difference);
    const bool is_enough = value <= last_value_ + slack - kDecrease * lipschitz_ * moved * moved;
    verdict = is_enough ? StepVerdict::longer : StepVerdict::kept;
    if (is_enough) lipschitz_ *= kLonger;
  } else {
    lipschitz_ = norm(gradient) / (options_.first_length * std::sqrt(static_cast<double>(gradient.size())));
  }
  accepted_lambda_.assign(lambda.begin(), lambda.end());
  accepted_gradient_.assign(gradient.begin(), gradient.end());
  last_value_ = value;
  has_value_ = true;
  move(gradient, 1.0 / lipschitz_, lambda);
  return verdict;
}

}  // namespace deq
