#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "solvers/bilevel/problem.h"

namespace deq {

/// Which weights share a penalty. Weights are laid out [features, classes], row by row; classes = 1 in binary tasks.
enum class PenaltyGroups : std::uint8_t {
  shared,      ///< one for all weights
  per_weight,  ///< one for each weight (per feature in binary tasks)
  per_class,   ///< one for each class
};

/// The L2 penalty 1/2 sum_j e^lambda_g(j) w_j^2, where g(j) is the group of weight j: its value and its part of every
/// product of a bi-level problem. Runs on all threads; bits do not depend on their number.
///
/// Where e^lambda overflows, values and products are infinite, never nan: the caller sees a value that is not finite.
class L2Penalty {
 public:
  /// Errors: Error when a size is below 1 or `classes` does not divide `weights`.
  L2Penalty(PenaltyGroups groups, std::int64_t weights, std::int64_t classes = 1);

  [[nodiscard]] std::int64_t weights() const { return weights_; }
  /// p, the number of groups.
  [[nodiscard]] std::int64_t size() const { return size_; }

  /// e^lambda where all weights share it and it is finite: D is then a multiple of the identity, which a product of the
  /// data can add on its way.
  [[nodiscard]] std::optional<double> common_strength(ConstVector lambda);
  /// @returns the penalty; adds its gradient to `gradient` [weights].
  double add_gradient(ConstVector w, ConstVector lambda, Vector gradient);
  /// out [weights] += D v with D = diag(e^lambda_g(j)).
  void add_product(ConstVector lambda, ConstVector v, Vector out);
  /// out [p] = (d gradient / d lambda)^T q: out_g = e^lambda_g sum over the group of w_j q_j.
  void cross_product(ConstVector w, ConstVector lambda, ConstVector q, Vector out);
  /// out [weights] = the diagonal of D.
  void diagonal(ConstVector lambda, Vector out);

 private:
  /// Sets strength_ to e^lambda. @returns whether all of it is finite.
  bool set_strength(ConstVector lambda);
  [[nodiscard]] std::int64_t group_of(std::int64_t weight) const;

  PenaltyGroups groups_;
  std::int64_t weights_;
  std::int64_t classes_;
  std::int64_t size_;
  std::vector<double> strength_;  ///< [p]
  std::vector<double> partial_;   ///< [blocks]
};

}  // namespace deq
