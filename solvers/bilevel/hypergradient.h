#pragma once

#include <cstdint>
#include <limits>
#include <string_view>
#include <variant>

#include "solvers/bilevel/conjugate_gradient.h"
#include "solvers/bilevel/evaluation_count.h"
#include "solvers/bilevel/problem.h"
#include "solvers/bilevel/quasi_newton_memory.h"
#include "solvers/options.h"

namespace deq {

/// H q = c by conjugate gradients to a relative tolerance, from the q that is handed in (HOAG: the previous one).
struct ExactAdjoint {
  ConjugateGradientOptions solver{};
  bool operator==(const ExactAdjoint&) const = default;
};
/// Conjugate gradients from the shared estimate B^-1 c. 0 iterations leave the estimate as it is.
struct RefinedByCg {
  ConjugateGradientOptions solver{.tolerance = 1e-10, .max_iterations = 5};
  bool operator==(const RefinedByCg&) const = default;
};
/// Gradients instead of Hessian products: each of `probes` takes u = B^-1 (c - H q), H u by the difference of grad r
/// over scale max(1, |w|) along u, moves q by the best multiple of u and puts the pair (u, H u) into a copy of the
/// memory with room for it. The first u is the shared estimate itself. In the manner of qNBO (ICLR 2025), which aims
/// extra secant pairs at H^-1 grad F.
struct RefinedByProbes {
  int probes = 5;
  double scale = 1e-4;
  bool operator==(const RefinedByProbes&) const = default;
};
/// Nystrom approximation of H from `columns` random columns (one Hessian product each). Where the problem knows a
/// diagonal part D of H and `uses_diagonal`, H - D is approximated and D stays exact; where D is not positive, or
/// unknown, `damping` stands for it.
///
/// Source: R. Hataya, M. Yamada, Nystrom method for accurate and scalable implicit differentiation, AISTATS 2023.
struct NystromAdjoint {
  int columns = 5;
  double damping = 0.1;
  bool uses_diagonal = true;
  double max_gain = 3.0;  ///< largest inverse eigenvalue relative to D, where H - D is indefinite; 0: no bound
  std::uint64_t seed = 0;
  bool operator==(const NystromAdjoint&) const = default;
};
/// Reverse differentiation of `steps` gradient descent steps that start at w, through the last `depth` of them (0:
/// all). step 0: 1 over the largest eigenvalue of H, from power iterations. At a solution of the inner problem this is
/// the truncated Neumann series of H^-1. dF is taken at the last iterate.
struct UnrolledAdjoint {
  int steps = 20;
  int depth = 0;
  double step = 0.0;
  bool operator==(const UnrolledAdjoint&) const = default;
};

/// JacobianFree: q = c. SharedInverse (SHINE): q = B^-1 c, or c where |B^-1 c| > max_gain |c| (max_gain 0: never).
using HypergradientMethod = std::variant<ExactAdjoint, SharedInverse, JacobianFree, RefinedByCg, RefinedByProbes,
                                         NystromAdjoint, UnrolledAdjoint>;
/// "exact", "shine", "jfb", "refine", "probes", "nystrom", "unrolled".
std::string_view name_of(const HypergradientMethod& method);

/// Where a hypergradient is asked for.
struct HypergradientPoint {
  ConstVector w;                              ///< [d] the inner solution
  ConstVector lambda;                         ///< [p]
  const QuasiNewtonMemory* memory = nullptr;  ///< what the inner solver left; for shared and refined estimates
  std::uint64_t draw = 0;                     ///< number of this estimate: Nystrom draws other columns at each
};

struct HypergradientReport {
  AdjointStatus status = AdjointStatus::direct;
  int steps = 0;
  /// |H q - c| / |c| with c = grad_w F, by the method's own recursion; not a number where it does not know it
  /// (`measure_residual` does).
  double residual = std::numeric_limits<double>::quiet_NaN();
  double outer_value = 0.0;  ///< F(w, lambda)
  bool is_fallback = false;  ///< the guard of SharedInverse took q = c
  EvaluationCount count{};
};

/// gradient [p] = grad_lambda F - (d grad_w r / d lambda)^T q with q ~ H^-1 grad_w F. `q` [d] holds the start of
/// ExactAdjoint on entry and q on return (for UnrolledAdjoint: the sum of step times the signals that met an iterate).
/// @throws Error when sizes do not match, an option is out of range, or a shared estimate is asked for without memory
HypergradientReport estimate_hypergradient(BilevelProblem& problem, const HypergradientPoint& point,
                                           const HypergradientMethod& method, Vector q, Vector gradient);

/// |H q - grad_w F| / |grad_w F|: one Hessian product and one outer gradient.
double measure_residual(BilevelProblem& problem, const HypergradientPoint& point, ConstVector q);

/// Central differences of F(w*(lambda), lambda) with the inner problem solved anew on each side to `tolerance`
/// (|grad_w r|): the reference of audits. 2 p inner solves.
/// @param w  [d] start of each solve
/// @param gradient  [p]
/// @returns the largest |grad_w r| that was left
double difference_hypergradient(BilevelProblem& problem, ConstVector w, ConstVector lambda, double radius,
                                double tolerance, Vector gradient, EvaluationCount& count);

}  // namespace deq
