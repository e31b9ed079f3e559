#include <cmath>

#include "core/reference/kernel.h"

namespace deq::reference {

Body lower(const SgdUpdate& op, const KernelRequest& request) {
  const std::int64_t n = request.outputs[0].shape.elements();
  return [n, op](const Operands& at) {
    const double *param = at.in(0), *grad = at.in(1), *momentum = at.in(2);
    const double lr = at.in(3)[0];
    for (std::int64_t i = 0; i < n; ++i) {
      const double d = grad[i] + op.weight_decay * param[i];
      const double m = op.momentum * momentum[i] + d;
      at.out(0)[i] = param[i] - lr * (op.nesterov ? d + op.momentum * m : m);
      at.out(1)[i] = m;
    }
  };
}

Body lower(const AdamUpdate& op, const KernelRequest& request) {
  const std::int64_t n = request.outputs[0].shape.elements();
  return [n, op](const Operands& at) {
    const double lr = at.in(4)[0], t = at.in(5)[0];
    const double correction1 = 1 - std::pow(op.beta1, t), correction2 = 1 - std::pow(op.beta2, t);
    for (std::int64_t i = 0; i < n; ++i) {
      double param = at.in(0)[i], grad = at.in(1)[i];
      if (op.decoupled) {
        param *= 1 - lr * op.weight_decay;
      } else {
        grad += op.weight_decay * param;
      }
      const double m = op.beta1 * at.in(2)[i] + (1 - op.beta1) * grad;
      const double v = op.beta2 * at.in(3)[i] + (1 - op.beta2) * grad * grad;
      at.out(0)[i] = param - lr * (m / correction1) / (std::sqrt(v / correction2) + op.eps);
      at.out(1)[i] = m;
      at.out(2)[i] = v;
    }
  };
}

}  // namespace deq::reference
