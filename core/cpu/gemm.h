#pragma once

#include <cstdint>

// The only door to BLAS.

namespace deq::cpu {

/// A row-major matrix operand as stored; a transposed one is stored with rows and columns swapped.
struct MatrixView {
  const float* data = nullptr;
  std::int64_t stride = 0;  ///< elements between stored rows
  bool is_transposed = false;
};

/// c[m,n] = a[m,k] b[k,n] (+ c when `adds`); rows of c are `c_stride` elements apart. Inside an OpenMP parallel region
/// the calling thread computes alone, outside all threads do.
void multiply(std::int64_t m, std::int64_t n, std::int64_t k, MatrixView a, MatrixView b, float* c,
              std::int64_t c_stride, bool adds = false);

}  // namespace deq::cpu
