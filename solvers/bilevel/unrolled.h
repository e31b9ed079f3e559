#pragma once

#include "solvers/bilevel/hypergradient.h"

namespace deq {

/// Runs `method.steps` of gradient descent from `w` [d], which receives the last iterate, and differentiates
/// F(w_T, lambda) through the last `method.depth` of them: a = grad_w F, then backwards over the iterates
/// gradient -= eta (d grad_w r / d lambda)^T a, a -= eta H a. With depth = steps this is the exact gradient of what the
/// run does.
/// @param q  [d] receives the sum of eta a
/// @param gradient  [p]
/// @throws Error when an option is out of range
HypergradientReport differentiate_unrolled(BilevelProblem& problem, ConstVector lambda, Vector w,
                                           const UnrolledAdjoint& method, Vector q, Vector gradient);

/// The largest eigenvalue of H in magnitude by `iterations` of the power method; counts its Hessian products.
double largest_eigenvalue(BilevelProblem& problem, ConstVector w, ConstVector lambda, int iterations,
                          EvaluationCount& count);

}  // namespace deq
