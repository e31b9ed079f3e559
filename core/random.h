#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "core/elementwise.h"

// Counter-based random numbers: element i of a draw is a pure function of (seed, counter, site, i). No state, so the
// bits depend neither on the backend nor on how many threads draw.
//
// Source: J. Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011 (Philox4x32-10).

namespace deq {

/// Names one draw: `seed` and `counter` are the graph's seed input i64[2], `site` is the op's attribute.
struct RandomStream {
  std::uint64_t seed = 0;
  std::uint64_t counter = 0;
  std::uint32_t site = 0;
};

using RandomBlock = std::array<std::uint32_t, 4>;

/// Ten rounds of Philox4x32 on `block` with the key `k0`, `k1`.
DEQ_HOST_DEVICE inline RandomBlock philox(RandomBlock block, std::uint32_t k0, std::uint32_t k1) {
  constexpr std::uint32_t kMultiplier0 = 0xD2511F53U, kMultiplier1 = 0xCD9E8D57U;
  constexpr std::uint32_t kWeyl0 = 0x9E3779B9U, kWeyl1 = 0xBB67AE85U;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{kMultiplier0} * block[0];
    const std::uint64_t p1 = std::uint64_t{kMultiplier1} * block[2];
    block = {static_cast<std::uint32_t>(p1 >> 32) ^ block[1] ^ k0, static_cast<std::uint32_t>(p1),
             static_cast<std::uint32_t>(p0 >> 32) ^ block[3] ^ k1, static_cast<std::uint32_t>(p0)};
    k0 += kWeyl0;
    k1 += kWeyl1;
  }
  return block;
}

/// 32 random bits for each of the elements 4 `quad` .. 4 `quad` + 3.
DEQ_HOST_DEVICE inline RandomBlock random_block(const RandomStream& stream, std::uint32_t quad) {
  return philox(
      {quad, stream.site, static_cast<std::uint32_t>(stream.counter), static_cast<std::uint32_t>(stream.counter >> 32)},
      static_cast<std::uint32_t>(stream.seed), static_cast<std::uint32_t>(stream.seed >> 32));
}

/// 24 of the 32 bits as a number of [0, 1), exact in float and double.
DEQ_HOST_DEVICE inline double uniform_from(std::uint32_t bits) { return static_cast<double>(bits >> 8) * 0x1p-24; }

/// Uniform on [0, 1) for element `index` < 2^34.
DEQ_HOST_DEVICE inline double uniform(const RandomStream& stream, std::int64_t index) {
  return uniform_from(random_block(stream, static_cast<std::uint32_t>(index >> 2))[index & 3]);
}

/// True when a draw with these bits is dropped, which has probability `p` rounded to 24 bits.
DEQ_HOST_DEVICE inline bool is_dropped(std::uint32_t bits, double p) { return uniform_from(bits) < p; }

/// Two independent N(0,1) from two words (Box-Muller). In double, so that rounding to float hides the last bits in
/// which mathematical libraries differ.
struct NormalPair {
  double first = 0, second = 0;
};
DEQ_HOST_DEVICE inline NormalPair normals_from(std::uint32_t a, std::uint32_t b) {
  constexpr double kTwoPi = 6.28318530717958647692;
  // (a + 0.5) / 2^32 lies strictly inside (0, 1): the logarithm is finite.
  const double radius = std::sqrt(-2.0 * std::log((static_cast<double>(a) + 0.5) * 0x1p-32));
  const double angle = kTwoPi * (static_cast<double>(b) * 0x1p-32);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

/// N(0,1) for element `index` < 2^34: words 0 and 1 of a block make its elements 0 and 1, words 2 and 3 the others.
DEQ_HOST_DEVICE inline double normal(const RandomStream& stream, std::int64_t index) {
  const RandomBlock block = random_block(stream, static_cast<std::uint32_t>(index >> 2));
  const NormalPair pair = (index & 2) == 0 ? normals_from(block[0], block[1]) : normals_from(block[2], block[3]);
  return (index & 1) == 0 ? pair.first : pair.second;
}

}  // namespace deq
