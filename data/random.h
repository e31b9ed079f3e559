#pragma once

#include <cstdint>

namespace deq {

/// Bijective 64-bit mixing (the finaliser of SplitMix64; Steele, Lea and Flood, OOPSLA 2014).
constexpr std::uint64_t mix_bits(std::uint64_t x) {
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31U);
}

/// Counter-based random numbers: the n-th number depends only on the key and n. What is drawn for one sample is the
/// same whichever thread draws it and whatever was drawn before.
class KeyedRandom {
 public:
  constexpr KeyedRandom(std::uint64_t seed, std::uint64_t stream, std::uint64_t index)
      : key_(mix_bits(mix_bits(mix_bits(seed + kStep) + stream * kStep + 1) + index * kStep + 2)) {}

  constexpr std::uint64_t bits() { return mix_bits(key_ + ++counter_ * kStep); }
  /// Uniform in [0, 1).
  constexpr double uniform() { return static_cast<double>(bits() >> 11U) * 0x1.0p-53; }
  constexpr double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Uniform in 0 ... count - 1; count >= 1 and below 2^31 (the bias is then under 2^-33).
  constexpr int below(int count) {
    return static_cast<int>(((bits() >> 32U) * static_cast<std::uint64_t>(count)) >> 32U);
  }

 private:
  static constexpr std::uint64_t kStep = 0x9E3779B97F4A7C15ULL;
  std::uint64_t key_;
  std::uint64_t counter_ = 0;
};

/// Image of `position` under a permutation of 0 ... size - 1 keyed by (seed, epoch): a Feistel network on the next even
/// number of bits, walked until it lands in range. No table, so any position of any epoch costs the same.
/// Source: Black and Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002 (method 3).
std::int64_t shuffled(std::uint64_t seed, std::int64_t epoch, std::int64_t position, std::int64_t size);

}  // namespace deq
