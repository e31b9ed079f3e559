#include "core/cpu/gemm.h"

#include <cblas.h>

#include <algorithm>

namespace deq::cpu {

void multiply(std::int64_t m, std::int64_t n, std::int64_t k, MatrixView a, MatrixView b, float* c,
              std::int64_t c_stride, bool adds) {
  const auto narrow = [](std::int64_t extent) { return static_cast<blasint>(extent); };
  const auto stride = [](std::int64_t extent) { return static_cast<blasint>(std::max<std::int64_t>(1, extent)); };
  cblas_sgemm(CblasRowMajor, a.is_transposed ? CblasTrans : CblasNoTrans, b.is_transposed ? CblasTrans : CblasNoTrans,
              narrow(m), narrow(n), narrow(k), 1.0f, a.data, stride(a.stride), b.data, stride(b.stride),
              adds ? 1.0f : 0.0f, c, stride(c_stride));
}

}  // namespace deq::cpu
