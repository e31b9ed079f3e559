#pragma once

#include <cstring>

#include "core/elementwise.h"

// Copies from global to shared memory that go on while their thread computes (PTX: cp.async). On the host they are done
// at once.

namespace deq::cuda {

/// Starts a copy of kBytes (4 or 16) bytes, or writes as many zeros. `from` must be readable either way.
template <int kBytes>
DEQ_HOST_DEVICE void copy_async(float* to, const float* from, bool is_there = true) {
#ifdef __CUDA_ARCH__
  const auto shared = static_cast<unsigned>(__cvta_generic_to_shared(to));
  const int bytes = is_there ? kBytes : 0;
  if constexpr (kBytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(from), "r"(bytes) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared), "l"(from), "n"(kBytes), "r"(bytes)
                 : "memory");
#else
  if (is_there)
    std::memcpy(to, from, kBytes);
  else
    std::memset(to, 0, kBytes);
#endif
}

/// Ends a group of copies of this thread.
DEQ_HOST_DEVICE inline void end_copies() {
#ifdef __CUDA_ARCH__
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/// Waits until all but the last kLeft groups of this thread have arrived.
template <int kLeft>
DEQ_HOST_DEVICE void wait_for_copies() {
#ifdef __CUDA_ARCH__
  asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
#endif
}

}  // namespace deq::cuda
