#pragma once

#include <cstddef>

namespace deq::tests {

/// Parallel regions of more than one thread that this program has entered from outside any, those of oneDNN and
/// OpenBLAS among them.
std::size_t parallel_regions();

}  // namespace deq::tests
