#pragma once

#include <cstdint>

namespace deq {

/// What a bi-level method asked of its problem: the hardware-free measure of its cost.
struct EvaluationCount {
  std::int64_t inner_gradients = 0;   ///< values and gradients of r
  std::int64_t hessian_products = 0;  ///< products with H
  std::int64_t cross_products = 0;    ///< products with (d grad_w r / d lambda)^T
  std::int64_t outer_gradients = 0;   ///< values and gradients of F

  EvaluationCount& operator+=(const EvaluationCount& other) {
    inner_gradients += other.inner_gradients;
    hessian_products += other.hessian_products;
    cross_products += other.cross_products;
    outer_gradients += other.outer_gradients;
    return *this;
  }
  bool operator==(const EvaluationCount&) const = default;
};

}  // namespace deq
