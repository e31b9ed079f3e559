#pragma once

#include <bit>
#include <cstdint>

// Smooth functions of one float without branches or calls, so that loops over them become vector code: std::exp costs a
// call an element. Errors are at most a few units in the last place; nan stays nan.

namespace deq::cpu {

/// e^x; 0 and inf where a float cannot hold it.
[[gnu::always_inline]] inline float exponential(float x) {
  constexpr float kLog2E = 1.44269504F;
  constexpr float kLn2High = 0.693145752F, kLn2Low = 1.42860677e-6F;  // the first with zeros at its end
  constexpr float kRound = 12582912.0F;                               // 1.5 * 2^23: adding it rounds to integers
  x = x < -104.0F ? -104.0F : x;
  x = x > 89.0F ? 89.0F : x;
  // x = k ln 2 + r, |r| <= ln(2) / 2; k is read from the bits of the rounded sum.
  const float shifted = x * kLog2E + kRound;
  const float whole = shifted - kRound;
  const float r = (x - whole * kLn2High) - whole * kLn2Low;
  const std::int32_t k =
      static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(kRound));
  // (e^r - 1 - r) / r^2, fitted to 3e-9 of e^r.
  float p = 0.001381446674F;
  p = p * r + 0.008368780429F;
  p = p * r + 0.04166839422F;
  p = p * r + 0.1666652011F;
  p = p * r + 0.4999999341F;
  p = p * (r * r) + r + 1.0F;
  // 2^k in two factors, or its ends would be out of range.
  const std::int32_t half = k >> 1;
  const auto power = [](std::int32_t exponent) {
    return std::bit_cast<float>((static_cast<std::uint32_t>(exponent) + 127U) << 23U);
  };
  return p * power(half) * power(k - half);
}

/// 1 / (1 + e^-x).
[[gnu::always_inline]] inline float logistic(float x) { return 1.0F / (1.0F + exponential(-x)); }

/// The normal distribution at x: its density, and the probability of values below x.
struct NormalPoint {
  float density = 0, below = 0;
};
[[gnu::always_inline]] inline NormalPoint normal_point(float x) {
  const float a = x < 0.0F ? -x : x;
  const float e = exponential(-0.5F * a * a);
  // The tail over e, fitted to 4e-9 of itself for a <= 14, beyond which it is 0 in floats, in t = 1 / (1 + 0.3 a).
  const float t = 1.0F / (1.0F + 0.3F * a);
  float p = -0.0206128291F;
  p = p * t + 0.112375776F;
  p = p * t - 0.228067504F;
  p = p * t + 0.191581676F;
  p = p * t - 0.0792473203F;
  p = p * t + 0.0960578166F;
  p = p * t + 0.0784255848F;
  p = p * t + 0.110227323F;
  p = p * t + 0.119572841F;
  p = p * t + 0.119686634F;
  const float tail = e * (p * t);
  return {0.398942280F * e, x < 0.0F ? tail : 1.0F - tail};
}

}  // namespace deq::cpu
