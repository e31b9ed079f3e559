#pragma once

#include <cstdint>
#include <limits>
#include <span>

namespace deq {

using ConstVector = std::span<const double>;
using Vector = std::span<double>;

/// A bi-level problem in double precision: min over lambda of F(w*(lambda), lambda), where w*(lambda) minimises
/// r(w, lambda) over w. What is asked for is the optimality condition g = grad_w r and its products, never the update
/// rule of a solver. w has d entries, lambda has p entries; for penalties lambda is the logarithm.
///
/// Hypergradient: dF/dlambda = grad_lambda F - (d grad_w r / d lambda)^T H^-1 grad_w F, with H = d grad_w r / dw.
class BilevelProblem {
 public:
  virtual ~BilevelProblem() = default;
  [[nodiscard]] virtual std::int64_t inner_size() const = 0;  ///< d
  [[nodiscard]] virtual std::int64_t outer_size() const = 0;  ///< p

  /// @returns r(w, lambda); `gradient` [d] receives grad_w r.
  virtual double inner(ConstVector w, ConstVector lambda, Vector gradient) = 0;
  /// out [d] = H(w, lambda) v.
  virtual void hessian_product(ConstVector w, ConstVector lambda, ConstVector v, Vector out) = 0;
  /// out [p] = (d grad_w r / d lambda)^T q for q [d].
  virtual void cross_product(ConstVector w, ConstVector lambda, ConstVector q, Vector out) = 0;
  /// @returns F(w, lambda); `gradient_w` [d] and `gradient_lambda` [p] receive its partial derivatives.
  virtual double outer(ConstVector w, ConstVector lambda, Vector gradient_w, Vector gradient_lambda) = 0;
  /// Loss on data that neither level has seen; not a number when there is none.
  virtual double test(ConstVector /*w*/) { return std::numeric_limits<double>::quiet_NaN(); }
  /// The diagonal part of H that is known exactly (an L2 penalty); `out` [d]. False when there is none.
  virtual bool known_diagonal(ConstVector /*lambda*/, Vector /*out*/) { return false; }
};

}  // namespace deq
