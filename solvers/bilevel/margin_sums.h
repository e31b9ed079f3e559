#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/samples.h"
#include "solvers/bilevel/problem.h"

namespace deq {

/// A loss of one sample with label y = -1 or +1 at the margin m = x^T w: its value and first two derivatives in m.
struct MarginTerm {
  double value = 0;
  double slope = 0;
  double curvature = 0;
};

/// A loss l(m, y), applied to many samples at once.
class MarginLoss {
 public:
  virtual ~MarginLoss() = default;
  /// terms[i] = l(margins[i], labels[i]); the spans have one length.
  virtual void evaluate(ConstVector margins, ConstVector labels, std::span<MarginTerm> terms) const = 0;
};

/// The sum S(w) = sum_i l(x_i^T w, y_i) over samples, its gradient and Hessian products. The margins of the last w are
/// kept with a copy of w, so that products at the same w (compared bit by bit) cost what they must. Sums and products
/// run on all threads and do not depend on their number. One thread at a time may use an object.
class MarginSums {
 public:
  /// Errors: Error naming `what` when there are no samples, labels are not -1 or +1, a value is not finite, or sizes do
  /// not fit.
  MarginSums(Samples samples, const char* what);

  [[nodiscard]] std::int64_t samples() const { return samples_.features.rows(); }
  [[nodiscard]] std::int64_t features() const { return samples_.features.columns(); }

  /// @returns S(w).
  double value(const MarginLoss& loss, ConstVector w);
  /// @returns S(w); `out` [features] receives grad S(w) + shift w.
  double gradient(const MarginLoss& loss, ConstVector w, double shift, Vector out);
  /// out [features] = (Hessian of S at w) v + shift v.
  void hessian_product(const MarginLoss& loss, ConstVector w, ConstVector v, double shift, Vector out);
  /// Products with the features that a change of w has cost so far; for tests of the reuse.
  [[nodiscard]] std::int64_t margin_evaluations() const { return margin_evaluations_; }

 private:
  /// Brings terms_ and sum_ up to w.
  void update(const MarginLoss& loss, ConstVector w);

  Samples samples_;
  bool is_set_ = false;
  std::vector<double> w_;          ///< [features], that of the terms
  std::vector<MarginTerm> terms_;  ///< [samples]
  std::vector<double> scratch_;    ///< [samples]
  double sum_ = 0;
  std::int64_t margin_evaluations_ = 0;
};

}  // namespace deq
