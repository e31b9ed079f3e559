#pragma once

#include <cstdint>

#include "core/cpu/bfloat16.h"
#include "core/cpu/vector.h"
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

// 16 bf16 as floats. `count` of them are in memory, the others are zero or left alone.

namespace deq::cpu {

[[gnu::always_inline]] inline void load_widened(Vec<16>& to, const Bfloat16* from, std::int64_t count) {
#ifdef __AVX512BF16__
  const auto some = static_cast<__mmask16>((1U << count) - 1);
  constexpr __mmask16 kAll = 0xffff;  // forms without a mask trip a warning of GCC 12
  const __m512i wide = _mm512_maskz_cvtepu16_epi32(kAll, _mm256_maskz_loadu_epi16(some, from));
  to = reinterpret_cast<Vec<16>>(_mm512_maskz_slli_epi32(kAll, wide, 16));
#else
  for (std::int64_t i = 0; i < 16; ++i) to[i] = i < count ? widen(from[i]) : 0.0F;
#endif
}

/// The nearest bf16; nan stays nan.
[[gnu::always_inline]] inline void store_rounded(Bfloat16* to, const Vec<16>& from, std::int64_t count) {
#ifdef __AVX512BF16__
  const auto some = static_cast<__mmask16>((1U << count) - 1);
  _mm256_mask_storeu_epi16(to, some, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(reinterpret_cast<__m512>(from))));
#else
  for (std::int64_t i = 0; i < count; ++i) to[i] = from[i] != from[i] ? Bfloat16{0x7fc0} : round_to_bfloat16(from[i]);
#endif
}

}  // namespace deq::cpu
