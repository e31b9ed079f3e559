#pragma once

#include "solvers/bilevel/margin_problem.h"

namespace deq {

/// Regularised nonlinear least squares: l(m, y) = 1/2 (y - sigma(m))^2 in MarginProblem, with sigma the logistic
/// function and labels -1 and +1 although sigma stays in (0, 1). Not convex: the curvature takes both signs.
class NonlinearLeastSquares final : public MarginProblem {
 public:
  explicit NonlinearLeastSquares(BilevelSamples samples, PenaltyGroups groups = PenaltyGroups::shared);
};

/// The loss alone.
class SigmoidSquaredLoss final : public MarginLoss {
 public:
  void evaluate(ConstVector margins, ConstVector labels, std::span<MarginTerm> terms) const override;
};

}  // namespace deq
