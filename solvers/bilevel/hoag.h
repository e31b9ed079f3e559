#pragma once

#include <variant>
#include <vector>

#include "solvers/bilevel/adaptive_step.h"
#include "solvers/bilevel/lower_level.h"
#include "solvers/bilevel/outer_optimizer.h"
#include "solvers/bilevel/outer_trace.h"
#include "solvers/bilevel/tolerance_schedule.h"

namespace deq {

/// What moves lambda: HOAG's adaptive step, or an optimiser that sees F and its gradient alone.
using OuterStep = std::variant<AdaptiveStepOptions, GradientDescent, AdamDescent, ElraDescent>;

struct HoagOptions {
  LowerOptions lower;           ///< method, inner solver
  ToleranceSchedule tolerance;  ///< of inner solve and hypergradient
  OuterStep step = AdaptiveStepOptions{};
  int points = 30;    ///< of the trace, the start included: points - 1 outer iterations
  double bound = 12;  ///< lambda stays in [-bound, bound]
};

/// Minimises F(w*(lambda), lambda) over lambda. Each outer iteration solves the inner problem from the last w until
/// |grad_w r| < eps_k |grad_w r(w_0, lambda_0)|, estimates the hypergradient to eps_k, and moves lambda.
/// Numerical failure ends the run with a status; an inner solve that misses its tolerance is reported in its point.
///
/// Source: F. Pedregosa, Hyperparameter optimization with approximate gradient, ICML 2016; Z. Ramzi et al., SHINE,
/// ICLR 2022. docs/bilevel.md tells what is different from their programs.
/// @param lambda  [p] start
/// @param w       [d] start
/// @throws Error when sizes do not match or an option is out of range
OuterResult run_hoag(BilevelProblem& problem, std::vector<double> lambda, std::vector<double> w,
                     const HoagOptions& options, const OuterObserver& observer = {});

}  // namespace deq
