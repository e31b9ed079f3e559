#pragma once

#include <cmath>

#include "core/cuda/lowering.h"

// The arithmetic of parameter updates, element by element, over many tensors in one launch.

namespace deq::cuda {

/// What an update changes: param, grad and up to two moments, with their new values (null: nobody reads them).
struct UpdatedTensor {
  const float *param, *grad, *first, *second;
  float *new_param, *new_first, *new_second;
  Index n;

  [[nodiscard]] bool is_in_place() const { return param == new_param && first == new_first && second == new_second; }
};

/// Element i of tensors behind each other. The table travels in the launch's arguments, of which there are 4 KiB.
template <class Rule>
struct UpdateElements {
  static constexpr int kMost = 48;
  Rule rule;
  UpdatedTensor tensors[kMost];
  Index begins[kMost];
  int count;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    int low = 0, high = count;
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      (begins[middle] <= i ? low : high) = middle;
    }
    rule(tensors[low], i - begins[low]);
  }
};
static_assert(sizeof(UpdatedTensor) * 48 + 48 * 4 < 3800);

/// d = grad + decay param; m' = momentum m + d; param' = param - rate (nesterov ? d + momentum m' : m').
struct SgdRule {
  const float* rate;
  float momentum, decay, gradient_share, momentum_share;

  DEQ_HOST_DEVICE void operator()(const UpdatedTensor& at, Index i) const {
    const float p = at.param[i], d = at.grad[i] + decay * p, m = momentum * at.first[i] + d;
    if (at.new_first != nullptr) at.new_first[i] = m;
    if (at.new_param != nullptr) at.new_param[i] = p - *rate * (gradient_share * d + momentum_share * m);
  }
};

/// Factors of one Adam step, the same for every element.
struct AdamStep {
  float rate, inverse_bias1, inverse_root_bias2, kept;
};

/// Makes them: one thread, so that powers are not computed for every element.
struct PrepareAdam {
  const float *rate, *t;
  double beta1, beta2, decoupled_decay;
  AdamStep* step;
  DEQ_HOST_DEVICE void operator()(Index) const {
    const auto lr = static_cast<double>(*rate), count = static_cast<double>(*t);
    step->rate = *rate;
    step->inverse_bias1 = static_cast<float>(1 / (1 - std::pow(beta1, count)));
    step->inverse_root_bias2 = static_cast<float>(1 / std::sqrt(1 - std::pow(beta2, count)));
    step->kept = static_cast<float>(1 - lr * decoupled_decay);
  }
};

struct AdamRule {
  const AdamStep* step;
  float beta1, beta2, rest1, rest2, eps, coupled_decay;

  DEQ_HOST_DEVICE void operator()(const UpdatedTensor& at, Index i) const {
    const AdamStep s = *step;
    const float p = at.param[i], d = at.grad[i] + coupled_decay * p;
    const float m = beta1 * at.first[i] + rest1 * d, v = beta2 * at.second[i] + rest2 * d * d;
    const float denominator = std::sqrt(v) * s.inverse_root_bias2 + eps;
    if (at.new_first != nullptr) at.new_first[i] = m;
    if (at.new_second != nullptr) at.new_second[i] = v;
    if (at.new_param != nullptr) at.new_param[i] = s.kept * p - s.rate * (m * s.inverse_bias1) / denominator;
  }
};

}  // namespace deq::cuda
