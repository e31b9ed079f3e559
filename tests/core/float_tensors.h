#pragma once

#include <cmath>
#include <cstdint>

#include "core/tensor.h"

// Float tensors for tests of kernels: made, and compared with what the reference computes in double.

namespace deq {

/// Uniform on [-1, 1), from a linear congruence (Numerical Recipes, 2nd edition, section 7.1).
inline Tensor random_tensor(Shape shape, std::uint32_t seed) {
  Tensor out(DType::f32, shape);
  for (float& value : out.data<float>()) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<float>(static_cast<std::int32_t>(seed)) / 2147483648.0f;
  }
  return out;
}

/// |found - wanted| / |wanted|, found f32 and wanted f64.
inline double normalised_error(const Tensor& found, const Tensor& wanted) {
  double difference = 0, scale = 0;
  for (std::size_t i = 0; i < found.data<float>().size(); ++i) {
    const double expected = wanted.data<double>()[i];
    difference += std::pow(found.data<float>()[i] - expected, 2);
    scale += expected * expected;
  }
  return std::sqrt(difference) / (std::sqrt(scale) + 1e-30);
}

}  // namespace deq
