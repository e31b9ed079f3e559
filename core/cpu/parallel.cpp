#include "core/cpu/parallel.h"

#include <cstddef>
#include <cstring>

namespace deq::cpu {

std::int64_t first_of_part(std::span<const std::int64_t> start, std::int64_t each, std::int64_t part,
                           std::int64_t parts) {
  const auto items = static_cast<std::int64_t>(start.size()) - 1;
  if (part == parts) return items;
  const std::int64_t target = (start.back() + each * items) / parts * part;
  std::int64_t low = 0;
  std::int64_t high = items;
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    if (start[middle] + each * middle < target) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

void parallel_copy(void* to, const void* from, std::int64_t bytes) {
  if (to == from) return;
  constexpr std::int64_t kBlockBytes = 64 * 1024;
  parallel_blocks(bytes, kBlockBytes, bytes / 4, [&](std::int64_t begin, std::int64_t end) {
    std::memcpy(static_cast<std::byte*>(to) + begin, static_cast<const std::byte*>(from) + begin,
                static_cast<std::size_t>(end - begin));
  });
}

}  // namespace deq::cpu
