#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "core/cpu/parallel.h"

namespace deq {

/// How a long vector is cut for the threads: by its length alone, so that sums over blocks, added in order, have the
/// same bits for any number of threads.
struct VectorBlocks {
  static constexpr std::int64_t kLeast = 8192;  ///< of a block
  static constexpr std::int64_t kMost = 64;

  explicit VectorBlocks(std::size_t length)
      : size(static_cast<std::int64_t>(length)),
        each(std::max(kLeast, (size + kMost - 1) / kMost)),
        count(size == 0 ? 0 : (size + each - 1) / each) {}

  /// body(block, first, last) for each block, on all threads where that is worth it.
  template <class Body>
  void run(const Body& body) const {
    cpu::parallel_for(count, size, [&](std::int64_t b) { body(b, b * each, std::min(size, (b + 1) * each)); });
  }

  /// The sum of body(first, last) over the blocks, added in order.
  template <class Body>
  double sum(const Body& body) const {
    std::array<double, kMost> parts;
    run([&](std::int64_t block, std::int64_t first, std::int64_t last) { parts[block] = body(first, last); });
    double total = 0.0;
    for (std::int64_t b = 0; b < count; ++b) total += parts[b];
    return total;
  }

  std::int64_t size, each, count;
};

}  // namespace deq
