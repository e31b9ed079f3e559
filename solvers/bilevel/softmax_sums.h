#pragma once

#include <cstdint>
#include <vector>

#include "core/samples.h"
#include "solvers/bilevel/problem.h"

namespace deq {

/// The sum S(w) = sum_i s_i l_i(w) over samples of classes 0 ... K - 1, with l_i the cross-entropy of softmax(W^T x_i)
/// against the label and weights s_i (1 where none are given), its gradient and products. W is [features, K], row by
/// row. The probabilities at the last w are kept with a copy of w and reused at the same w (compared bit by bit). Runs
/// on all threads; bits do not depend on their number. One thread at a time may use an object.
class SoftmaxSums {
 public:
  /// Errors: Error naming `what` when there are no samples, labels are not class numbers below `classes`, a value is
  /// not finite, sizes do not fit or `classes` < 2.
  SoftmaxSums(Samples samples, int classes, const char* what);

  [[nodiscard]] std::int64_t samples() const { return samples_.features.rows(); }
  [[nodiscard]] std::int64_t features() const { return samples_.features.columns(); }
  [[nodiscard]] std::int64_t classes() const { return classes_; }

  /// @returns S(w). `weights` [samples], or empty for ones; likewise below.
  double value(ConstVector w, ConstVector weights = {});
  /// @returns S(w); `out` [features, K] receives its gradient.
  double gradient(ConstVector w, ConstVector weights, Vector out);
  /// out [features, K] = (Hessian of S at w) v.
  void hessian_product(ConstVector w, ConstVector weights, ConstVector v, Vector out);
  /// out [samples]: grad l_i(w)^T q for each sample.
  void slopes_along(ConstVector w, ConstVector q, Vector out);

 private:
  void update(ConstVector w);
  /// P_ik - [k is the label of i].
  [[nodiscard]] double slope(std::int64_t sample, std::int64_t label_class) const;
  [[nodiscard]] double weighted_sum(ConstVector weights) const;

  Samples samples_;
  std::int64_t classes_;
  bool is_set_ = false;
  std::vector<double> w_;            ///< [features, K]
  std::vector<std::int32_t> label_;  ///< [samples]
  std::vector<double> probability_;  ///< [samples, K]
  std::vector<double> loss_;         ///< [samples]
  std::vector<double> scratch_;      ///< [samples, K]
};

}  // namespace deq
