#pragma once

#include <cstddef>

namespace deq::tests {

/// Calls of operator new in this program so far, on all threads.
std::size_t allocations();

}  // namespace deq::tests
