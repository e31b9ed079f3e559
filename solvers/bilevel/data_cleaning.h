#pragma once

#include <optional>
#include <vector>

#include "solvers/bilevel/bilevel_samples.h"
#include "solvers/bilevel/l2_penalty.h"
#include "solvers/bilevel/problem.h"
#include "solvers/bilevel/softmax_sums.h"

namespace deq {

/// Data cleaning: one weight in (0, 1) for each training sample, some of which carry wrong labels, tuned so that the
/// model fits clean validation samples. The inner variable is W [features, K] as in MultinomialLogisticRegression:
///
///   r(W, lambda) = sum_train sigma(lambda_i) cross_entropy_i(W) + 1/2 e^log_penalty |W|^2,  F(W) = the unweighted loss
///   on `validation`.
///
/// p is the number of training samples. One thread at a time may use an object.
/// Source: L. Franceschi et al., Forward and reverse gradient-based hyperparameter optimization, ICML 2017 (data
/// hyper-cleaning).
class DataCleaning final : public BilevelProblem {
 public:
  /// Errors: as MultinomialLogisticRegression; Error when e^log_penalty is not finite.
  DataCleaning(BilevelSamples samples, int classes, double log_penalty);

  [[nodiscard]] std::int64_t inner_size() const override { return penalty_.weights(); }
  [[nodiscard]] std::int64_t outer_size() const override { return train_.samples(); }
  double inner(ConstVector w, ConstVector lambda, Vector gradient) override;
  void hessian_product(ConstVector w, ConstVector lambda, ConstVector v, Vector out) override;
  void cross_product(ConstVector w, ConstVector lambda, ConstVector q, Vector out) override;
  double outer(ConstVector w, ConstVector lambda, Vector gradient_w, Vector gradient_lambda) override;
  double test(ConstVector w) override;
  bool known_diagonal(ConstVector lambda, Vector out) override;

 private:
  void set_weights(ConstVector lambda);

  SoftmaxSums train_;
  SoftmaxSums validation_;
  std::optional<SoftmaxSums> test_;
  L2Penalty penalty_;
  double log_penalty_;
  std::vector<double> weights_;  ///< [train], sigma(lambda)
};

}  // namespace deq
