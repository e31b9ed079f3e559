#include "core/cpu/bfloat16_rows.h"

#include <algorithm>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

namespace deq::cpu {

#ifdef __AVX512BF16__

void round_rows(const float* from, std::int64_t rows, std::int64_t n, Bfloat16* to, std::int64_t padded) {
  const auto lanes = [](std::int64_t count) { return count >= 32 ? ~0U : (1U << count) - 1; };
  const std::int64_t whole = n / 32 * 32;
  const std::uint32_t read = lanes(n - whole), written = lanes(padded - whole);
  const auto round = [](__m512 low, __m512 high) { return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)); };
  for (; rows > 0; --rows, from += n, to += padded) {
    for (std::int64_t i = 0; i < whole; i += 32)
      _mm512_storeu_si512(to + i, round(_mm512_loadu_ps(from + i), _mm512_loadu_ps(from + i + 16)));
    if (written == 0) continue;
    const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(read), from + whole);
    const __m512 high = _mm512_maskz_loadu_ps(static_cast<__mmask16>(read >> 16), from + whole + 16);
    _mm512_mask_storeu_epi16(to + whole, written, round(low, high));
    for (std::int64_t i = whole + 32; i < padded; ++i) to[i] = {};
  }
}

#else

void round_rows(const float* from, std::int64_t rows, std::int64_t n, Bfloat16* to, std::int64_t padded) {
  for (; rows > 0; --rows, from += n, to += padded) {
    for (std::int64_t i = 0; i < n; ++i) {
      const std::uint16_t nearest = round_to_bfloat16(from[i]).bits;
      to[i].bits = from[i] != from[i] ? std::uint16_t{0x7fc0} : nearest;
    }
    std::fill(to + n, to + padded, Bfloat16{});
  }
}

#endif

}  // namespace deq::cpu
