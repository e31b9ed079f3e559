#pragma once

#include <cstddef>

#include "core/tensor.h"

namespace deq::tests {

/// Zeroed memory that stands for a device's: touching it outside an `Access` is a segmentation fault, so that host code
/// which forgets that a state or parameter lies on a device is found without one.
AlignedBytes allocate_guarded(std::size_t bytes);

/// While one is alive, guarded memory may be touched. They nest.
class Access {
 public:
  Access();
  ~Access();
  Access(const Access&) = delete;
  Access& operator=(const Access&) = delete;
};

}  // namespace deq::tests
