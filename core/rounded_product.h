#pragma once

#include "core/elementwise.h"

namespace deq {

/// a * b, rounded before anything is added to it, so that an operation that takes in a product gives the bits of the
/// two apart. On the host the file must be compiled with -ffp-contract=off.
DEQ_HOST_DEVICE inline float rounded_product(float a, float b) {
#ifdef __CUDA_ARCH__
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}

}  // namespace deq
