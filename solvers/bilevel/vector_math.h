#pragma once

#include <bit>
#include <cstdint>

// Elementary functions in plain arithmetic, without branches and tables, so that a loop over many arguments is
// vectorised: the compiler does that for those of the C library only where it may forget about inf and nan.

namespace deq {

/// e^x for x <= 0, within 2e-16 of itself; 0 below -708. Nan for nan.
inline double exp_nonpositive(double x) {
  constexpr double kLog2E = 1.4426950408889634;
  constexpr double kLn2High = 6.93147180369123816490e-01;  // 33 bits: its products with k are exact
  constexpr double kLn2Low = 1.90821492927058770002e-10;
  constexpr double kLeast = -708.0;
  constexpr double kShift = 0x1.8p52;  // adding it rounds to a whole number, which then is in the low bits
  const double inside = x < kLeast ? kLeast : x;
  const double shifted = inside * kLog2E + kShift;
  const double k = shifted - kShift;
  const double r = (inside - k * kLn2High) - k * kLn2Low;  // within 0.35 of 0
  double sum = 1.0 / 6227020800.0;                         // 1/13!
  sum = sum * r + 1.0 / 479001600.0;
  sum = sum * r + 1.0 / 39916800.0;
  sum = sum * r + 1.0 / 3628800.0;
  sum = sum * r + 1.0 / 362880.0;
  sum = sum * r + 1.0 / 40320.0;
  sum = sum * r + 1.0 / 5040.0;
  sum = sum * r + 1.0 / 720.0;
  sum = sum * r + 1.0 / 120.0;
  sum = sum * r + 1.0 / 24.0;
  sum = sum * r + 1.0 / 6.0;
  sum = sum * r + 0.5;
  sum = sum * r + 1.0;
  sum = sum * r + 1.0;
  const auto exponent = static_cast<std::uint64_t>(std::bit_cast<std::int64_t>(shifted)) + 1023U;
  const double power = std::bit_cast<double>(exponent << 52U);
  return x < kLeast ? 0.0 : sum * power;
}

/// log(1 + s) for 0 <= s <= 1, within 3e-16 of itself: twice the area tangent of z = s / (2 + s), written so that the
/// first term is s itself (2 z = s - s^2 / 2 + z s^2 / 2). Nan for nan.
inline double log1p_unit(double s) {
  const double z = s / (2.0 + s);  // at most 1/3
  const double square = z * z;
  double sum = 1.0 / 33.0;
  sum = sum * square + 1.0 / 31.0;
  sum = sum * square + 1.0 / 29.0;
  sum = sum * square + 1.0 / 27.0;
  sum = sum * square + 1.0 / 25.0;
  sum = sum * square + 1.0 / 23.0;
  sum = sum * square + 1.0 / 21.0;
  sum = sum * square + 1.0 / 19.0;
  sum = sum * square + 1.0 / 17.0;
  sum = sum * square + 1.0 / 15.0;
  sum = sum * square + 1.0 / 13.0;
  sum = sum * square + 1.0 / 11.0;
  sum = sum * square + 1.0 / 9.0;
  sum = sum * square + 1.0 / 7.0;
  sum = sum * square + 1.0 / 5.0;
  sum = sum * square + 1.0 / 3.0;
  const double half = 0.5 * s * s;
  return s - (half - z * (half + 2.0 * square * sum));
}

}  // namespace deq
