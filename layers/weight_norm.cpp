#include "layers/weight_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"

namespace deq::layers {
namespace {

/// |v| per output, shaped [O, 1, ..] like `weight_g`.
Tensor lengths(const Tensor& v) {
  std::vector<std::int64_t> extents(static_cast<std::size_t>(v.shape().rank()), 1);
  extents[0] = v.shape()[0];
  Tensor out(DType::f32, Shape(std::span<const std::int64_t>(extents)));
  const std::span<const float> elements = v.data<float>();
  const std::span<float> length = out.data<float>();
  const std::size_t row = elements.size() / std::max<std::size_t>(length.size(), 1);
  for (std::size_t o = 0; o < length.size(); ++o) {
    double sum = 0;
    for (const float x : elements.subspan(o * row, row)) sum += static_cast<double>(x) * x;
    length[o] = static_cast<float>(std::sqrt(sum));
  }
  return out;
}

}  // namespace

Value weight_norm(Value v, Value g) {
  std::vector<int> inner;
  for (int axis = 1; axis < v.shape("weight_norm").rank(); ++axis) inner.push_back(axis);
  check(!inner.empty(), "weight_norm", "the weight needs an axis besides the outputs, found ", v.type());
  return v * (g / sqrt(sum(v * v, inner, /*keep_dims=*/true)));
}

WeightNorm::WeightNorm(const ParamScope& scope, Shape shape, const init::Initializer& start)
    : v(scope, "weight_v", shape, start), g(scope, "weight_g", lengths(*v.tensor())) {}

}  // namespace deq::layers
