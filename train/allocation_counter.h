#pragma once

#include <cstdint>

namespace deq {

/// Requests of this process that reached the heap so far. A program that uses this replaces the global operator new:
/// small blocks that oneDNN asks for while a primitive executes are recycled, so that after the first training step a
/// replay reaches the heap no more; everything else goes to malloc.
struct AllocationCount {
  std::uint64_t own = 0;     ///< by deq
  std::uint64_t vendor = 0;  ///< inside oneDNN, beyond what could be recycled
};
AllocationCount allocation_count();

}  // namespace deq
