#pragma once

#include "solvers/bilevel/margin_problem.h"

namespace deq {

/// L2-regularised logistic regression of two classes: l(m, y) = log(1 + e^(-y m)) in MarginProblem.
class LogisticRegression final : public MarginProblem {
 public:
  explicit LogisticRegression(BilevelSamples samples, PenaltyGroups groups = PenaltyGroups::shared);
};

/// The loss alone, exact for margins of any size.
class LogisticLoss final : public MarginLoss {
 public:
  void evaluate(ConstVector margins, ConstVector labels, std::span<MarginTerm> terms) const override;
};

}  // namespace deq
