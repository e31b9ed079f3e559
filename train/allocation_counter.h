#pragma once

#include <cstdint>

namespace deq {

/// Calls of operator new in this process so far. Programs that call this count every allocation made through it.
std::uint64_t allocation_count();

}  // namespace deq
