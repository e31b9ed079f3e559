#pragma once

#include <memory>
#include <optional>

#include "solvers/bilevel/bilevel_samples.h"
#include "solvers/bilevel/l2_penalty.h"
#include "solvers/bilevel/margin_sums.h"
#include "solvers/bilevel/problem.h"

namespace deq {

/// Penalised linear models of two classes (labels -1 and +1), sums and not means, no intercept:
///
///   r(w, lambda) = sum_train l(x_i^T w, y_i) + 1/2 sum_j e^lambda_g(j) w_j^2,   F(w) = sum_validation l(x_i^T w, y_i).
///
/// One penalty for all weights (p = 1) or one for each (p = d). lambda that overflows e^lambda gives infinite values.
/// Derived classes say which loss l. One thread at a time may use an object; copies share the features.
///
/// Source: Z. Ramzi et al., SHINE, ICLR 2022; F. Pedregosa, Hyperparameter optimization with approximate gradient,
/// ICML 2016.
class MarginProblem : public BilevelProblem {
 public:
  [[nodiscard]] std::int64_t inner_size() const final { return penalty_.weights(); }
  [[nodiscard]] std::int64_t outer_size() const final { return penalty_.size(); }
  double inner(ConstVector w, ConstVector lambda, Vector gradient) final;
  void hessian_product(ConstVector w, ConstVector lambda, ConstVector v, Vector out) final;
  void cross_product(ConstVector w, ConstVector lambda, ConstVector q, Vector out) final;
  double outer(ConstVector w, ConstVector lambda, Vector gradient_w, Vector gradient_lambda) final;
  double test(ConstVector w) final;
  bool known_diagonal(ConstVector lambda, Vector out) final;

  /// Share of the samples of `part` whose label is +1 exactly where x^T w > 0.
  [[nodiscard]] static double accuracy(const Samples& part, ConstVector w);

 protected:
  /// Errors: Error when `train` or `validation` is empty, the parts have different numbers of features, a label is
  /// neither -1 nor +1, or a feature is not finite; and when `groups` is per_class.
  MarginProblem(BilevelSamples samples, PenaltyGroups groups, std::unique_ptr<const MarginLoss> loss);

 private:
  std::unique_ptr<const MarginLoss> loss_;
  L2Penalty penalty_;
  MarginSums train_;
  MarginSums validation_;
  std::optional<MarginSums> test_;
};

}  // namespace deq
