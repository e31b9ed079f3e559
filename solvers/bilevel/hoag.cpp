#include "solvers/bilevel/hoag.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "solvers/bilevel/pausable_clock.h"
#include "solvers/bilevel/vector_ops.h"

namespace deq {
namespace {

bool is_finite(ConstVector values) {
  return std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
}

class HoagRun {
 public:
  HoagRun(BilevelProblem& problem, std::vector<double> lambda, std::vector<double> w, const HoagOptions& options,
          const OuterObserver& observer)
      : problem_(problem),
        options_(options),
        observer_(observer),
        lambda_(std::move(lambda)),
        w_(std::move(w)),
        gradient_(lambda_.size()),
        tolerance_(options.tolerance) {
    check(lambda_.size() == static_cast<std::size_t>(problem.outer_size()), "hoag", "lambda has ", lambda_.size(),
          " entries, the problem has ", problem.outer_size());
    check(w_.size() == static_cast<std::size_t>(problem.inner_size()), "hoag", "w has ", w_.size(),
          " entries, the problem has ", problem.inner_size());
    check(options.points >= 1 && options.bound > 0, "hoag", "points is ", options.points, " and bound ", options.bound,
          "; expected at least 1 point and a positive bound");
    lower_ = make_lower_level(problem, options.lower, w_);
    if (const auto* adaptive = std::get_if<AdaptiveStepOptions>(&options.step)) {
      AdaptiveStepOptions bounded = *adaptive;
      bounded.bound = options.bound;
      adaptive_.emplace(bounded, problem.outer_size());
    }
    if (const auto* step = std::get_if<GradientDescent>(&options.step)) use(*step);
    if (const auto* step = std::get_if<AdamDescent>(&options.step)) use(*step);
    if (const auto* step = std::get_if<ElraDescent>(&options.step)) use(*step);
  }

  OuterResult run() {
    result_.status = iterate();
    result_.w = std::move(w_);
    result_.lambda = result_.trace.back().lambda;
    return std::move(result_);
  }

 private:
  void use(const OuterMethod& method) { optimizer_ = make_outer_optimizer(method, problem_.outer_size()); }

  OuterStatus iterate() {
    std::vector<double> slope(w_.size());
    problem_.inner(w_, lambda_, slope);
    ++count_.inner_gradients;
    first_residual_ = norm(slope);
    clock_.pause();
    std::vector<double> unused(w_.size());
    record({.validation_loss = problem_.outer(w_, lambda_, unused, gradient_), .inner_residual = first_residual_});
    if (!std::isfinite(first_residual_)) return OuterStatus::nonfinite;
    for (int outer = 1; outer < options_.points; ++outer) {
      if (observer_.is_stopped && observer_.is_stopped()) return OuterStatus::stopped;
      clock_.resume();
      const OuterPoint point = advance(outer);
      const bool is_sound = std::isfinite(point.validation_loss) && is_finite(gradient_) && is_finite(lambda_) &&
                            point.inner_status != SolveStatus::nonfinite;
      clock_.pause();
      record(point);
      if (!is_sound) return OuterStatus::nonfinite;
      if (is_stationary_) return OuterStatus::stationary;
      if (!returns_to_.empty() && outer + 1 < options_.points) w_ = std::exchange(returns_to_, {});
    }
    return OuterStatus::finished;
  }

  /// One outer iteration: the point it evaluated; lambda_ has moved on to the next.
  OuterPoint advance(int outer) {
    const double eps = tolerance_.value();
    const double factor = adaptive_ ? adaptive_->tolerance_factor() : 1.0;
    LowerRequest request{.lambda = lambda_, .outer = outer, .points = options_.points, .tolerance = eps};
    request.inner_tolerance = std::max(options_.tolerance.floor, eps * factor) * first_residual_;
    const std::vector<double> start = w_;
    const LowerReport solved = lower_->solve(request, w_, gradient_);
    count_ += solved.count;
    OuterPoint point{.outer = outer,
                     .lambda = lambda_,
                     .validation_loss = solved.value,
                     .inner_residual = solved.residual,
                     .inner_tolerance = request.inner_tolerance,
                     .inner_status = solved.status,
                     .inner_iterations = solved.iterations,
                     .adjoint_status = solved.adjoint_status,
                     .adjoint_steps = solved.adjoint_steps,
                     .gradient_norm = norm(gradient_)};
    tolerance_.advance();
    if (!std::isfinite(point.validation_loss) || !is_finite(gradient_)) return point;
    move(point, eps, start);
    return point;
  }

  void move(const OuterPoint& point, double eps, const std::vector<double>& start) {
    is_stationary_ = point.gradient_norm == 0.0;
    if (is_stationary_) return;
    if (optimizer_) {
      optimizer_->step(point.validation_loss, gradient_, lambda_);
      for (double& value : lambda_) value = std::clamp(value, -options_.bound, options_.bound);
      return;
    }
    const StepVerdict verdict = adaptive_->step(point.validation_loss, gradient_, tolerance_.value(), eps, lambda_);
    if (verdict != StepVerdict::rejected) return;
    tolerance_.halve();
    // The clean form goes back to where the step began; the executed one keeps the w of the bad lambda.
    if (std::get<AdaptiveStepOptions>(options_.step).form == AdaptiveForm::clean) returns_to_ = start;
  }

  /// Adds what is known here to the point and hands it on. The clock is paused.
  void record(OuterPoint point) {
    point.seconds = clock_.seconds();
    point.count = count_;
    if (point.outer == 0) point.lambda = lambda_;
    point.test_loss = problem_.test(w_);
    result_.trace.push_back(std::move(point));
    if (observer_.observe) observer_.observe(result_.trace.back());
  }

  BilevelProblem& problem_;
  const HoagOptions& options_;
  const OuterObserver& observer_;
  std::vector<double> lambda_, w_, gradient_;
  ToleranceSequence tolerance_;
  std::unique_ptr<LowerLevel> lower_;
  std::optional<AdaptiveStep> adaptive_;
  std::unique_ptr<OuterOptimizer> optimizer_;
  PausableClock clock_;
  EvaluationCount count_{};
  double first_residual_ = 0;
  bool is_stationary_ = false;
  std::vector<double> returns_to_;  ///< w of the last accepted step, after one that was rejected
  OuterResult result_;
};

}  // namespace

OuterResult run_hoag(BilevelProblem& problem, std::vector<double> lambda, std::vector<double> w,
                     const HoagOptions& options, const OuterObserver& observer) {
  return HoagRun(problem, std::move(lambda), std::move(w), options, observer).run();
}

}  // namespace deq
