#pragma once

#include <optional>

#include "solvers/bilevel/bilevel_samples.h"
#include "solvers/bilevel/l2_penalty.h"
#include "solvers/bilevel/problem.h"
#include "solvers/bilevel/softmax_sums.h"

namespace deq {

/// L2-regularised logistic regression of K classes (labels 0 ... K - 1), sums and not means, no intercept. The inner
/// variable is W [features, K], row by row:
///
///   r(W, lambda) = sum_train cross_entropy(softmax(W^T x_i), y_i) + 1/2 sum e^lambda_g W^2,  F(W) = the same loss on
///   `validation`, without penalty.
///
/// One penalty for all weights (p = 1), for each class (p = K) or for each weight (p = features K). One thread at a
/// time may use an object.
class MultinomialLogisticRegression final : public BilevelProblem {
 public:
  /// Errors: Error when `train` or `validation` is empty, the parts have different numbers of features, a label is no
  /// class, a feature is not finite, or `classes` < 2.
  MultinomialLogisticRegression(BilevelSamples samples, int classes, PenaltyGroups groups = PenaltyGroups::shared);

  [[nodiscard]] std::int64_t inner_size() const override { return penalty_.weights(); }
  [[nodiscard]] std::int64_t outer_size() const override { return penalty_.size(); }
  double inner(ConstVector w, ConstVector lambda, Vector gradient) override;
  void hessian_product(ConstVector w, ConstVector lambda, ConstVector v, Vector out) override;
  void cross_product(ConstVector w, ConstVector lambda, ConstVector q, Vector out) override;
  double outer(ConstVector w, ConstVector lambda, Vector gradient_w, Vector gradient_lambda) override;
  double test(ConstVector w) override;
  bool known_diagonal(ConstVector lambda, Vector out) override;

  /// Share of the samples of `part` whose label is the class with the largest score.
  [[nodiscard]] static double accuracy(const Samples& part, int classes, ConstVector w);

 private:
  SoftmaxSums train_;
  SoftmaxSums validation_;
  std::optional<SoftmaxSums> test_;
  L2Penalty penalty_;
};

}  // namespace deq
