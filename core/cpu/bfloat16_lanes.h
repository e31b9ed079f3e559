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
  const __m256i narrow =
      count >= 16 ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)) : _mm256_maskz_loadu_epi16(some, from);
  const __m512i wide = _mm512_maskz_cvtepu16_epi32(kAll, narrow);
  to = reinterpret_cast<Vec<16>>(_mm512_maskz_slli_epi32(kAll, wide, 16));
#else
  for (std::int64_t i = 0; i < 16; ++i) to[i] = i < count ? widen(from[i]) : 0.0F;
#endif
}

/// The nearest bf16; nan stays nan.
[[gnu::always_inline]] inline void store_rounded(Bfloat16* to, const Vec<16>& from, std::int64_t count) {
#ifdef __AVX512BF16__
  if (count >= 16) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                        reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(reinterpret_cast<__m512>(from))));
    return;
  }
  const auto some = static_cast<__mmask16>((1U << count) - 1);
  _mm256_mask_storeu_epi16(to, some, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(reinterpret_cast<__m512>(from))));
#else
  for (std::int64_t i = 0; i < count; ++i) to[i] = from[i] != from[i] ? Bfloat16{0x7fc0} : round_to_bfloat16(from[i]);
#endif
}

/// 32 of them, in two halves.
[[gnu::always_inline]] inline void load_widened(Vec<16>& low, Vec<16>& high, const Bfloat16* from) {
  load_widened(low, from, 16);
  load_widened(high, from + 16, 16);
}
[[gnu::always_inline]] inline void store_rounded(Bfloat16* to, const Vec<16>& low, const Vec<16>& high) {
#ifdef __AVX512BF16__
  const __m512bh both = _mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(high), reinterpret_cast<__m512>(low));
  _mm512_storeu_si512(to, reinterpret_cast<__m512i>(both));
#else
  store_rounded(to, low, 16);
  store_rounded(to + 16, high, 16);
#endif
}

}  // namespace deq::cpu
