#pragma once

#include <cstdint>

#include "core/cpu/vector.h"

// Winograd's F(4x4,3x3) by Toom and Cook: a tile of 4x4 results needs 6x6 inputs and 36 products a pair of channels
// instead of 144. Evaluation points 0, +-5/8, +-3/2 and infinity keep the constants near 1, and with them the error
// (Alam, Anderson, Gregg, "Winograd convolution for deep neural networks: efficient point selection", 2022).
//   results = A^T [ (G w G^T) . (B^T d B) ] A

namespace deq::cpu::winograd {

inline constexpr int kTile = 4;           ///< results along a side
inline constexpr int kPatch = kTile + 2;  ///< inputs along a side
inline constexpr int kPoints = kPatch * kPatch;

inline constexpr float kA = 0.625F, kB = 1.5F;
inline constexpr float kA2 = kA * kA, kB2 = kB * kB;

/// v := B^T v, in place over six values of type V.
template <class V>
[[gnu::always_inline]] inline void transform_input(V (&v)[kPatch]) {
  const V even_a = v[4] - kB2 * v[2], odd_a = kA * (v[3] - kB2 * v[1]);
  const V even_b = v[4] - kA2 * v[2], odd_b = kB * (v[3] - kA2 * v[1]);
  v[0] = v[4] + (kA2 * kB2 * v[0] - (kA2 + kB2) * v[2]);
  v[5] = v[5] + (kA2 * kB2 * v[1] - (kA2 + kB2) * v[3]);
  v[1] = even_a + odd_a;
  v[2] = even_a - odd_a;
  v[3] = even_b + odd_b;
  v[4] = even_b - odd_b;
}

/// y := A^T v.
template <class V>
[[gnu::always_inline]] inline void transform_output(const V (&v)[kPatch], V (&y)[kTile]) {
  const V sum_a = v[1] + v[2], difference_a = v[1] - v[2];
  const V sum_b = v[3] + v[4], difference_b = v[3] - v[4];
  y[0] = v[0] + sum_a + sum_b;
  y[1] = kA * difference_a + kB * difference_b;
  y[2] = kA2 * sum_a + kB2 * sum_b;
  y[3] = v[5] + (kA2 * kA * difference_a + kB2 * kB * difference_b);
}

/// to := G w.
template <class V>
[[gnu::always_inline]] inline void transform_weight(const V (&w)[3], V (&to)[kPatch]) {
  constexpr float kScaleA = 1 / (2 * kA2 * (kA2 - kB2)), kScaleB = 1 / (2 * kB2 * (kB2 - kA2));
  const V even_a = kScaleA * w[0] + kScaleA * kA2 * w[2], odd_a = kScaleA * kA * w[1];
  const V even_b = kScaleB * w[0] + kScaleB * kB2 * w[2], odd_b = kScaleB * kB * w[1];
  to[0] = 1 / (kA2 * kB2) * w[0];
  to[1] = even_a + odd_a;
  to[2] = even_a - odd_a;
  to[3] = even_b + odd_b;
  to[4] = even_b - odd_b;
  to[5] = w[2];
}

/// v := A y, the transpose of transform_output.
template <class V>
[[gnu::always_inline]] inline void transform_result_gradient(const V (&y)[kTile], V (&v)[kPatch]) {
  const V even_a = y[0] + kA2 * y[2], odd_a = kA * (y[1] + kA2 * y[3]);
  const V even_b = y[0] + kB2 * y[2], odd_b = kB * (y[1] + kB2 * y[3]);
  v[0] = y[0];
  v[1] = even_a + odd_a;
  v[2] = even_a - odd_a;
  v[3] = even_b + odd_b;
  v[4] = even_b - odd_b;
  v[5] = y[3];
}

/// w := G^T u, the transpose of transform_weight.
template <class V>
[[gnu::always_inline]] inline void transform_weight_gradient(const V (&u)[kPatch], V (&w)[3]) {
  constexpr float kScaleA = 1 / (2 * kA2 * (kA2 - kB2)), kScaleB = 1 / (2 * kB2 * (kB2 - kA2));
  const V sum_a = kScaleA * (u[1] + u[2]), difference_a = kScaleA * (u[1] - u[2]);
  const V sum_b = kScaleB * (u[3] + u[4]), difference_b = kScaleB * (u[3] - u[4]);
  w[0] = 1 / (kA2 * kB2) * u[0] + sum_a + sum_b;
  w[1] = kA * difference_a + kB * difference_b;
  w[2] = kA2 * sum_a + kB2 * sum_b + u[5];
}

}  // namespace deq::cpu::winograd
