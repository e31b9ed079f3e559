#pragma once

#include <vector>

#include "core/tensor.h"

namespace deq {

/// How a vector that is spread over several tensors compares with the true one.
struct VectorComparison {
  double relative_error = 0;  ///< |a - b| / |b|
  double cosine = 0;
  double norm_ratio = 0;  ///< |a| / |b|
};

/// f32 tensors of the same shapes pairwise. Sums run in double. Not-a-number where `b` is zero.
VectorComparison compare(const std::vector<Tensor>& a, const std::vector<Tensor>& b);

/// into += scale * from, f32.
void add_scaled(const Tensor& from, double scale, Tensor& into);

}  // namespace deq
