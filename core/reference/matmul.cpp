#include "core/reference/kernel.h"

namespace deq::reference {

Body lower(const MatMul& op, const KernelRequest& request) {
  const Shape& a_shape = request.inputs[0].shape;
  const Shape& out = request.outputs[0].shape;
  const std::int64_t m = out[-2], n = out[-1], k = op.transpose_a ? a_shape[-2] : a_shape[-1];
  const std::int64_t matrices = a_shape.elements() == 0 || m * k == 0 ? 0 : a_shape.elements() / (m * k);
  const std::int64_t elements = out.elements();
  return [=](const Operands& at) {
    std::fill_n(at.out(), elements, 0.0);
    for (std::int64_t matrix = 0; matrix < matrices; ++matrix) {
      const double* a = at.in(0) + matrix * m * k;
      const double* b = at.in(1) + matrix * k * n;
      double* y = at.out() + matrix * m * n;
      for (std::int64_t i = 0; i < m; ++i) {
        for (std::int64_t j = 0; j < n; ++j) {
          for (std::int64_t t = 0; t < k; ++t) {
            y[i * n + j] +=
                (op.transpose_a ? a[t * m + i] : a[i * k + t]) * (op.transpose_b ? b[j * k + t] : b[t * n + j]);
          }
        }
      }
    }
  };
}

}  // namespace deq::reference
