#pragma once

#include <cstddef>

namespace deq::tests {

/// Calls of operator new in this program so far, on all threads, outside vendor libraries.
std::size_t allocations();
/// Those that oneDNN made while one of its primitives executed.
std::size_t vendor_allocations();

}  // namespace deq::tests
