#include "solvers/bilevel/lbfgs.h"

#include <cmath>
#include <utility>
#include <vector>

#include "core/error.h"
#include "solvers/bilevel/aimed_pairs.h"
#include "solvers/bilevel/vector_ops.h"

namespace deq {
namespace {

void check_options(const BilevelProblem& problem, ConstVector lambda, Vector w, const QuasiNewtonMemory& memory,
                   const LbfgsOptions& options) {
  constexpr std::string_view kWhere = "minimise_lbfgs";
  check(w.size() == static_cast<std::size_t>(problem.inner_size()), kWhere, "w has ", w.size(),
        " entries, the problem has ", problem.inner_size());
  check(lambda.size() == static_cast<std::size_t>(problem.outer_size()), kWhere, "lambda has ", lambda.size(),
        " entries, the problem has ", problem.outer_size());
  check(memory.size() == problem.inner_size(), kWhere, "the memory is for ", memory.size(),
        " entries, the problem has ", problem.inner_size());
  check(options.tolerance >= 0.0 && options.max_iterations >= 0 && options.fixed_step > 0.0, kWhere, "tolerance is ",
        options.tolerance, ", max_iterations ", options.max_iterations, " and fixed_step ", options.fixed_step,
        "; none may be negative and the step must be positive");
  if (!options.awareness) return;
  const OuterAwareness& awareness = *options.awareness;
  check(awareness.period >= 1, kWhere, "the period of outer awareness is ", awareness.period, "; at least 1 is needed");
  check(awareness.first_scale > 0.0, kWhere, "first_scale is ", awareness.first_scale, "; it must be positive");
  check(awareness.final_pairs >= 0, kWhere, "final_pairs is ", awareness.final_pairs, "; it may not be negative");
  check(awareness.of == AwareOf::outer_gradient || lambda.size() == 1, kWhere,
        "awareness of the outer parameter needs one lambda, the problem has ", lambda.size());
  check(awareness.direction.empty() || awareness.direction.size() == w.size(), kWhere, "the prescribed direction has ",
        awareness.direction.size(), " entries, expected ", w.size());
}

// Of lambda, a logarithm: the difference over it is right to half of it, in length and hardly in direction.
constexpr double kParameterStep = 1e-4;

class LbfgsRun {
 public:
  LbfgsRun(BilevelProblem& problem, ConstVector lambda, Vector w, QuasiNewtonMemory& memory,
           const LbfgsOptions& options)
      : problem_(problem),
        lambda_(lambda),
        w_(w),
        memory_(memory),
        options_(options),
        gradient_(w.size()),
        direction_(w.size()),
        trial_(w.size()),
        trial_gradient_(w.size()),
        change_(w.size()) {}

  InnerReport run() {
    const std::int64_t refused_before = memory_.refused();
    report_.value = evaluate(w_, gradient_);
    report_.residual = report_.initial_residual = norm(gradient_);
    report_.status = iterate();
    if (options_.awareness && report_.status != SolveStatus::nonfinite) add_final_pairs(*options_.awareness);
    report_.refused_pairs = static_cast<int>(memory_.refused() - refused_before);
    return report_;
  }

 private:
  double evaluate(ConstVector at, Vector gradient) {
    ++report_.count.inner_gradients;
    return problem_.inner(at, lambda_, gradient);
  }

  SolveStatus iterate() {
    for (;;) {
      if (!std::isfinite(report_.value) || !std::isfinite(report_.residual)) return SolveStatus::nonfinite;
      if (report_.residual < options_.tolerance || report_.residual == 0.0) return SolveStatus::converged;
      if (report_.iterations == options_.max_iterations) return SolveStatus::max_steps;
      const int k = report_.iterations + 1;
      if (options_.awareness && k > 1 && k % options_.awareness->period == 0) add_aware_pair(*options_.awareness);
      memory_.apply(gradient_, direction_);
      scale(-1.0, direction_);
      if (!step()) return SolveStatus::stalled;
      ++report_.iterations;
    }
  }

  /// One line search along `direction_`, and the pair of its step. False when no lower point was found.
  bool step() {
    const auto phi = [this](double length) {
      combine(w_, length, direction_, trial_);
      const double value = evaluate(trial_, trial_gradient_);
      return LinePoint{length, value, dot(trial_gradient_, direction_)};
    };
    const double slope = dot(gradient_, direction_);
    LineSearchResult found = search_wolfe(phi, report_.value, slope, options_.line_search);
    if (found.status != LineSearchStatus::satisfied) {
      ++report_.search_failures;
      if (options_.on_failure == SearchFailure::fixed_step) {
        found.point = phi(options_.fixed_step);
        found.is_last = true;
      } else if (found.status != LineSearchStatus::decreased) {
        return false;
      }
    }
    if (!found.is_last) found.point = phi(found.point.step);
    if (!std::isfinite(found.point.value) || !std::isfinite(found.point.slope)) return false;
    take(found.point);
    return true;
  }

  /// Moves to the trial point, which belongs to `point`.
  void take(const LinePoint& point) {
    combine(trial_gradient_, -1.0, gradient_, change_);
    scale(point.step, direction_);
    last_length_ = norm(direction_);
    memory_.push(direction_, change_);
    copy(trial_, w_);
    std::swap(gradient_, trial_gradient_);
    report_.value = point.value;
    report_.residual = norm(gradient_);
  }

  /// v at w; in `change_` unless it is prescribed.
  ConstVector find_target(const OuterAwareness& awareness) {
    if (!awareness.direction.empty()) return awareness.direction;
    if (awareness.of == AwareOf::outer_gradient) {
      std::vector<double> gradient_lambda(lambda_.size());
      problem_.outer(w_, lambda_, change_, gradient_lambda);
      ++report_.count.outer_gradients;
      return change_;
    }
    const double beside = lambda_[0] + kParameterStep;
    problem_.inner(w_, {&beside, 1}, change_);
    ++report_.count.inner_gradients;
    add_scaled(-1.0, gradient_, change_);
    scale(1.0 / kParameterStep, change_);
    return change_;
  }

  void add_final_pairs(const OuterAwareness& awareness) {
    if (awareness.final_pairs == 0) return;
    const AimReport aimed = aim_pairs(problem_, w_, lambda_, gradient_, find_target(awareness),
                                      {.pairs = awareness.final_pairs}, memory_, direction_);
    report_.extra_pairs += aimed.taken;
    report_.count.inner_gradients += aimed.gradients();
  }

  void add_aware_pair(const OuterAwareness& awareness) {
    memory_.apply(find_target(awareness), direction_);
    const double length = norm(direction_);
    if (!(length > 0.0) || !std::isfinite(length)) return;
    const double n = extra_steps_++;
    scale(awareness.step == ExtraStep::last_step ? last_length_ / length
                                                 : awareness.first_scale / ((n + 1.0) * (n + 1.0)),
          direction_);
    combine(w_, 1.0, direction_, trial_);
    evaluate(trial_, trial_gradient_);
    combine(trial_gradient_, -1.0, gradient_, change_);
    if (memory_.push(direction_, change_)) ++report_.extra_pairs;
  }

  BilevelProblem& problem_;
  ConstVector lambda_;
  Vector w_;
  QuasiNewtonMemory& memory_;
  const LbfgsOptions& options_;
  std::vector<double> gradient_, direction_, trial_, trial_gradient_, change_;
  double last_length_ = 0.0;
  int extra_steps_ = 0;
  InnerReport report_;
};

}  // namespace

InnerReport minimise_lbfgs(BilevelProblem& problem, ConstVector lambda, Vector w, QuasiNewtonMemory& memory,
                           const LbfgsOptions& options) {
  check_options(problem, lambda, w, memory, options);
  return LbfgsRun(problem, lambda, w, memory, options).run();
}

}  // namespace deq
