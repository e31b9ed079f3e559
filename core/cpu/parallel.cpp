#include "core/cpu/parallel.h"

#include <cstddef>
#include <cstring>

namespace deq::cpu {

void parallel_copy(void* to, const void* from, std::int64_t bytes) {
  if (to == from) return;
  constexpr std::int64_t kBlockBytes = 64 * 1024;
  parallel_blocks(bytes, kBlockBytes, bytes / 4, [&](std::int64_t begin, std::int64_t end) {
    std::memcpy(static_cast<std::byte*>(to) + begin, static_cast<const std::byte*>(from) + begin,
                static_cast<std::size_t>(end - begin));
  });
}

}  // namespace deq::cpu
