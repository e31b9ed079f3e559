#include "data/random.h"

#include <bit>

#include "core/error.h"

namespace deq {

std::int64_t shuffled(std::uint64_t seed, std::int64_t epoch, std::int64_t position, std::int64_t size) {
  check(0 <= position && position < size, "shuffle", "position ", position, " of ", size);
  constexpr int kRounds = 8;
  const unsigned half = (static_cast<unsigned>(std::bit_width(static_cast<std::uint64_t>(size - 1))) + 1) / 2;
  const std::uint64_t mask = (std::uint64_t{1} << half) - 1;
  const std::uint64_t key = mix_bits(mix_bits(seed) + static_cast<std::uint64_t>(epoch) * 0x9E3779B97F4A7C15ULL);
  auto x = static_cast<std::uint64_t>(position);
  do {
    std::uint64_t left = x >> half;
    std::uint64_t right = x & mask;
    for (std::uint64_t round = 0; round < kRounds; ++round) {
      const std::uint64_t next = left ^ (mix_bits(key + (round << 40U) + right) & mask);
      left = right;
      right = next;
    }
    x = (left << half) | right;
  } while (x >= static_cast<std::uint64_t>(size));
  return static_cast<std::int64_t>(x);
}

}  // namespace deq
