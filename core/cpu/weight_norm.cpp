#include <cmath>

#include "core/cpu/bound_kernel.h"
#include "core/cpu/norm.h"
#include "core/cpu/parallel.h"

namespace deq::cpu {

std::unique_ptr<Kernel> lower_weight_norm(const KernelRequest& request) {
  const Shape& shape = request.inputs[0].shape;
  return make_kernel(
      [rows = shape[0], n = shape.elements(), columns = shape.elements() / shape[0]](const Operands& bound) {
        float *w = bound.out(0), *ratios = bound.out(1), *norms = bound.out(2);  // null where nobody reads them
        parallel_for(rows, n, [=, v = bound.in(0), g = bound.in(1)](std::int64_t row) {
          const float* from = v + row * columns;
          double squares = 0;
#pragma omp simd reduction(+ : squares)
          for (std::int64_t i = 0; i < columns; ++i)
            squares += static_cast<double>(from[i]) * static_cast<double>(from[i]);
          const auto norm = static_cast<float>(std::sqrt(squares)), ratio = g[row] / norm;
          if (ratios != nullptr) ratios[row] = ratio;
          if (norms != nullptr) norms[row] = norm;
          if (w == nullptr) return;
#pragma omp simd
          for (std::int64_t i = 0; i < columns; ++i) w[row * columns + i] = from[i] * ratio;
        });
      });
}

}  // namespace deq::cpu
