#include <cmath>

#include "core/cpu/bound_kernel.h"
#include "core/cpu/kernels.h"
#include "core/cpu/parallel.h"

// Parameter updates. Element i of every operand is read before element i of any output is written, so outputs may lie
// over the inputs they replace.

namespace deq::cpu {

namespace {

std::unique_ptr<Kernel> lower_sgd(const SgdUpdate& op, std::int64_t n) {
  return make_kernel([op, n](const Operands& operands) {
    const float *param = operands.in(0), *grad = operands.in(1), *momentum = operands.in(2);
    const float rate = *operands.in(3), mu = static_cast<float>(op.momentum);
    const auto decay = static_cast<float>(op.weight_decay);
    const float gradient_share = op.nesterov ? 1.0F : 0.0F, momentum_share = op.nesterov ? mu : 1.0F;
    float *new_param = operands.out(0), *new_momentum = operands.out(1);
    parallel_elements(n, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) {
        const float p = param[i], d = grad[i] + decay * p, m = mu * momentum[i] + d;
        if (new_momentum != nullptr) new_momentum[i] = m;
        if (new_param != nullptr) new_param[i] = p - rate * (gradient_share * d + momentum_share * m);
      }
    });
  });
}

/// Factors of one Adam step, the same for every element.
struct AdamStep {
  float beta1, beta2, rest1, rest2, eps, rate, inverse_bias1, inverse_root_bias2, coupled_decay, kept;
};

AdamStep adam_step(const AdamUpdate& op, double rate, double t) {
  return {.beta1 = static_cast<float>(op.beta1),
          .beta2 = static_cast<float>(op.beta2),
          .rest1 = static_cast<float>(1 - op.beta1),
          .rest2 = static_cast<float>(1 - op.beta2),
          .eps = static_cast<float>(op.eps),
          .rate = static_cast<float>(rate),
          .inverse_bias1 = static_cast<float>(1 / (1 - std::pow(op.beta1, t))),
          .inverse_root_bias2 = static_cast<float>(1 / std::sqrt(1 - std::pow(op.beta2, t))),
          .coupled_decay = op.decoupled ? 0.0F : static_cast<float>(op.weight_decay),
          .kept = op.decoupled ? static_cast<float>(1 - rate * op.weight_decay) : 1.0F};
}

std::unique_ptr<Kernel> lower_adam(const AdamUpdate& op, std::int64_t n) {
  return make_kernel([op, n](const Operands& operands) {
    const float *param = operands.in(0), *grad = operands.in(1), *first = operands.in(2), *second = operands.in(3);
    const AdamStep step = adam_step(op, static_cast<double>(*operands.in(4)), static_cast<double>(*operands.in(5)));
    float *new_param = operands.out(0), *new_first = operands.out(1), *new_second = operands.out(2);
    parallel_elements(n, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) {
        const float p = param[i], d = grad[i] + step.coupled_decay * p;
        const float m = step.beta1 * first[i] + step.rest1 * d;
        const float v = step.beta2 * second[i] + step.rest2 * d * d;
        const float denominator = std::sqrt(v) * step.inverse_root_bias2 + step.eps;
        if (new_first != nullptr) new_first[i] = m;
        if (new_second != nullptr) new_second[i] = v;
        if (new_param != nullptr) new_param[i] = step.kept * p - step.rate * (m * step.inverse_bias1) / denominator;
      }
    });
  });
}

}  // namespace

std::unique_ptr<Kernel> lower_optimizer(const KernelRequest& request) {
  for (const TensorType& type : request.inputs) {
    if (type.dtype != DType::f32) no_kernel(request, "operands must be f32");
  }
  const std::int64_t n = request.inputs[0].shape.elements();
  if (const auto* op = std::get_if<SgdUpdate>(&request.op)) return lower_sgd(*op, n);
  if (const auto* op = std::get_if<AdamUpdate>(&request.op)) return lower_adam(*op, n);
  no_kernel(request, "not an optimizer update");
}

}  // namespace deq::cpu
