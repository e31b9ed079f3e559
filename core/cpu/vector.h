#pragma once

#include <algorithm>
#include <cstdint>

// Short vectors of floats for hand-blocked loops. GCC's vector extension: one register where the machine has registers
// of that width, several narrower ones elsewhere.

namespace deq::cpu {

template <int kWidth>
struct FloatVector {
  using Type __attribute__((vector_size(kWidth * sizeof(float)))) = float;
  using Unaligned __attribute__((vector_size(kWidth * sizeof(float)), aligned(alignof(float)), may_alias)) = float;
};

template <int kWidth>
using Vec = typename FloatVector<kWidth>::Type;

/// Floats that one register of this build holds.
#if defined(__AVX512F__)
inline constexpr int kRegisterFloats = 16;
#elif defined(__AVX__)
inline constexpr int kRegisterFloats = 8;
#else
inline constexpr int kRegisterFloats = 4;
#endif

template <int kWidth>
[[gnu::always_inline]] inline void load(Vec<kWidth>& to, const float* from) {
  to = *reinterpret_cast<const typename FloatVector<kWidth>::Unaligned*>(from);
}

/// As `load`, into a register. GCC otherwise makes the memory an operand of every use, which is one more read each: a
/// product of panels with registers of 8 floats then runs at six tenths of its speed.
template <int kWidth>
[[gnu::always_inline]] inline void load_once(Vec<kWidth>& to, const float* from) {
  Vec<kWidth> value;
  load<kWidth>(value, from);
#ifdef __AVX__
  asm("" : "+v"(value));  // from here on GCC does not know that it lies in memory
#endif
  to = value;
}

template <int kWidth>
[[gnu::always_inline]] inline void store(float* to, const Vec<kWidth>& from) {
  *reinterpret_cast<typename FloatVector<kWidth>::Unaligned*>(to) = from;
}

/// The first `count` < kWidth floats of `from`, then zeros.
template <int kWidth>
[[gnu::always_inline]] inline void load_some(Vec<kWidth>& to, const float* from, std::int64_t count) {
  float lanes[kWidth] = {};
  std::copy_n(from, count, lanes);
  load<kWidth>(to, lanes);
}

template <int kWidth>
[[gnu::always_inline]] inline void store_some(float* to, const Vec<kWidth>& from, std::int64_t count) {
  float lanes[kWidth];
  store<kWidth>(lanes, from);
  std::copy_n(lanes, count, to);
}

}  // namespace deq::cpu
