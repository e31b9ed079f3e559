#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "core/cpu/bfloat16.h"

namespace deq::lanes {

/// 32 bytes of T side by side: one register from AVX on. GCC keeps wider ones in memory where a register is narrower
/// (AVX2 then takes 2 to 4 times as long), and processors with wider registers gain nothing where memory is the limit.
template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
  using type [[gnu::vector_size(32)]] = float;
};
template <>
struct VectorOf<double> {
  using type [[gnu::vector_size(32)]] = double;
};
template <class T>
using Vector = typename VectorOf<T>::type;
template <class T>
inline constexpr std::int64_t kLanes = 32 / static_cast<std::int64_t>(sizeof(T));

using HalfFloats [[gnu::vector_size(16)]] = float;
using Words [[gnu::vector_size(32)]] = std::uint32_t;
using HalfWords [[gnu::vector_size(16)]] = std::uint32_t;
using Halves [[gnu::vector_size(16)]] = std::uint16_t;
using QuarterHalves [[gnu::vector_size(8)]] = std::uint16_t;

// Everything is handed over by reference: a vector by value has another calling convention in each instruction set.

template <class T>
[[gnu::always_inline]] inline void load(const T* from, Vector<T>& to) {
  std::memcpy(&to, from, sizeof to);
}
[[gnu::always_inline]] inline void load(const Bfloat16* from, Vector<float>& to) {
  Halves bits;
  std::memcpy(&bits, from, sizeof bits);
  const Words words = __builtin_convertvector(bits, Words) << 16;
  std::memcpy(&to, &words, sizeof to);
}
[[gnu::always_inline]] inline void load(const Bfloat16* from, Vector<double>& to) {
  QuarterHalves bits;
  std::memcpy(&bits, from, sizeof bits);
  const HalfWords words = __builtin_convertvector(bits, HalfWords) << 16;
  HalfFloats floats;
  std::memcpy(&floats, &words, sizeof floats);
  to = __builtin_convertvector(floats, Vector<double>);
}

template <class T>
[[gnu::always_inline]] inline void store(const Vector<T>& from, T* to) {
  std::memcpy(to, &from, sizeof from);
}

/// Sum over lanes and blocks in double. A block's products are added in T, at most kChain of them in a lane, so that
/// float rounds a handful of times before double takes over.
template <class T>
class Total {
 public:
  [[gnu::always_inline]] void add(const Vector<T>& block) {
    if constexpr (std::is_same_v<T, double>) {
      low_ += block;
    } else {
      HalfFloats low, high;
      std::memcpy(&low, &block, sizeof low);
      std::memcpy(&high, reinterpret_cast<const char*>(&block) + sizeof low, sizeof high);
      low_ += __builtin_convertvector(low, Vector<double>);
      high_ += __builtin_convertvector(high, Vector<double>);
    }
  }
  [[nodiscard, gnu::always_inline]] double sum() const {
    const Vector<double> both = low_ + high_;
    double out = 0.0;
    for (std::int64_t i = 0; i < kLanes<double>; ++i) out += both[i];
    return out;
  }

 private:
  Vector<double> low_{};
  Vector<double> high_{};
};

}  // namespace deq::lanes
