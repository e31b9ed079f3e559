#pragma once

#include <cstdint>

namespace deq {

/// Calls of operator new in this process so far. A program that uses this replaces the global operator new.
struct AllocationCount {
  std::uint64_t own = 0;     ///< by deq
  std::uint64_t vendor = 0;  ///< inside oneDNN while a primitive executes
};
AllocationCount allocation_count();

}  // namespace deq
