#pragma once

#include <cstdint>
#include <optional>

#include "core/fixed_point.h"
#include "solvers/bilevel/evaluation_count.h"
#include "solvers/bilevel/line_search.h"
#include "solvers/bilevel/problem.h"
#include "solvers/bilevel/quasi_newton_memory.h"

namespace deq {

/// Length of an extra step e: that of the last ordinary step, or t0 / (n + 1)^2 times B^-1 v after n extra steps.
enum class ExtraStep : std::uint8_t { last_step, summable };

/// The vector v for which B^-1 v is to be right: the published programs take grad_w F, the paper d grad_w r / d lambda.
/// Both make the hypergradient right. The second, of one lambda alone, is (minus) H times the way that w* goes with
/// lambda, which steps of earlier solves resemble: few pairs are enough. It is found by a difference over lambda, for
/// one inner gradient.
enum class AwareOf : std::uint8_t { outer_gradient, outer_parameter };

/// Outer-problem awareness: before the direction of each inner iteration k > 1 with k mod period = 0 (k counts from 1),
/// the pair (e, grad r(w + e) - grad r(w)) with e along B^-1 v enters the memory if its curvature is positive, so that
/// B^-1 v tends to H^-1 v. Costs one inner gradient, and what v costs. These pairs age as the steps go on, and a solve
/// that starts near its end takes none: `final_pairs` more are taken where it ends (solvers/bilevel/aimed_pairs.h).
///
/// Source: Z. Ramzi et al., SHINE, ICLR 2022, "outer-problem awareness".
struct OuterAwareness {
  int period = 5;  ///< M >= 1
  ExtraStep step = ExtraStep::last_step;
  double first_scale = 1.0;  ///< t0 of ExtraStep::summable
  ConstVector direction{};   ///< v [d], borrowed; empty: `of` at the iterate
  AwareOf of = AwareOf::outer_gradient;
  int final_pairs = 0;
};

/// What follows a line search that found no step: the lowest point it saw (none: stop as stalled), or `fixed_step`
/// along the direction as SHINE's published code does.
enum class SearchFailure : std::uint8_t { lowest_seen, fixed_step };

struct LbfgsOptions {
  double tolerance = 1e-6;  ///< stop when |grad_w r| < tolerance
  int max_iterations = 1000;
  WolfeOptions line_search{};
  SearchFailure on_failure = SearchFailure::lowest_seen;
  double fixed_step = 0.01;
  std::optional<OuterAwareness> awareness{};
};

/// Record of one inner solve.
struct InnerReport {
  SolveStatus status = SolveStatus::max_steps;  ///< never diverged: every ordinary step lowers r
  int iterations = 0;
  double residual = 0.0;          ///< |grad_w r| at the returned w
  double initial_residual = 0.0;  ///< |grad_w r| at the given w
  double value = 0.0;             ///< r at the returned w
  int search_failures = 0;        ///< line searches that did not meet the Wolfe conditions
  int extra_pairs = 0;            ///< outer-aware pairs taken
  int refused_pairs = 0;          ///< pairs of either kind without positive curvature
  EvaluationCount count{};
};

/// Minimises r(., lambda) from `w` [d], which receives the last iterate. `memory` enters with the pairs of earlier
/// solves and leaves with those of this one: it is the inverse estimate to share. Numerical failure is a status.
/// @throws Error when sizes do not match or an option is out of range
InnerReport minimise_lbfgs(BilevelProblem& problem, ConstVector lambda, Vector w, QuasiNewtonMemory& memory,
                           const LbfgsOptions& options);

}  // namespace deq
