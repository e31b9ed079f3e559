#pragma once

#include <cstdint>

namespace deq {

/// Inputs param, grad, momentum, lr f32[]; outputs param', momentum'. d = grad + weight_decay * param; m' = momentum *
/// m + d; param' = param - lr * (nesterov ? d + momentum * m' : m').
struct SgdUpdate {
  double momentum = 0.9;
  double weight_decay = 0;
  bool nesterov = false;
  bool operator==(const SgdUpdate&) const = default;
};
/// Inputs param, grad, m, v, lr f32[], t f32[] (1-based step); outputs param', m', v'. Bias-corrected.
/// weight_decay is added to the gradient (L2) or, when `decoupled` (AdamW), param is first scaled by 1 - lr *
/// weight_decay.
struct AdamUpdate {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  bool decoupled = false;
  bool operator==(const AdamUpdate&) const = default;
};

}  // namespace deq
