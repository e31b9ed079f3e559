#include "data/legacy_permutation.h"

#include <bit>
#include <limits>
#include <numeric>
#include <random>
#include <utility>

#include "core/error.h"

namespace deq {

std::vector<std::int64_t> legacy_permutation(std::uint32_t seed, std::int64_t size) {
  check(1 <= size && size <= std::numeric_limits<std::int32_t>::max(), "legacy_permutation", "size is ", size,
        "; expected 1 to 2^31 - 1");
  std::mt19937 words(seed);
  std::vector<std::int64_t> order(size);
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::int64_t last = size - 1; last > 0; --last) {
    const std::uint32_t mask = std::bit_ceil(static_cast<std::uint32_t>(last) + 1U) - 1U;
    std::int64_t pick = last + 1;
    while (pick > last) pick = static_cast<std::uint32_t>(words()) & mask;
    std::swap(order[last], order[pick]);
  }
  return order;
}

}  // namespace deq
