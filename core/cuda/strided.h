#pragma once

#include <array>

#include "core/cuda/divider.h"
#include "core/elementwise.h"
#include "core/shape.h"

namespace deq::cuda {

/// Offsets of kOperands operands while a dense result is walked in row-major order. Neighbouring axes that all operands
/// walk alike are one, so that equal shapes cost no division and a channel vector costs one.
template <int kOperands>
struct Strided {
  int rank = 1;
  Index extent[Shape::kMaxRank] = {1};
  Divider by[Shape::kMaxRank];  ///< the extents
  Index stride[kOperands][Shape::kMaxRank] = {};

  /// Appends an axis inside those there are.
  void add(std::int64_t axis_extent, const std::array<std::int64_t, kOperands>& strides) {
    if (axis_extent == 1) return;
    bool is_alike = true;
    for (int k = 0; k < kOperands; ++k)
      is_alike &= std::int64_t{stride[k][rank - 1]} == strides[static_cast<std::size_t>(k)] * axis_extent;
    if (extent[rank - 1] != 1 && !is_alike) ++rank;
    if (extent[rank - 1] != 1 && is_alike)
      extent[rank - 1] = static_cast<Index>(extent[rank - 1] * axis_extent);
    else
      extent[rank - 1] = static_cast<Index>(axis_extent);
    by[rank - 1] = Divider(extent[rank - 1]);
    for (int k = 0; k < kOperands; ++k) stride[k][rank - 1] = static_cast<Index>(strides[static_cast<std::size_t>(k)]);
  }

  /// Offset of element `i` of the result in each operand.
  DEQ_HOST_DEVICE void offsets(Index i, Index (&at)[kOperands]) const {
    for (int k = 0; k < kOperands; ++k) at[k] = 0;
    for (int axis = rank - 1; axis > 0; --axis) {
      const Index rest = by[axis].quotient(i), coordinate = i - rest * extent[axis];
      for (int k = 0; k < kOperands; ++k) at[k] += coordinate * stride[k][axis];
      i = rest;
    }
    for (int k = 0; k < kOperands; ++k) at[k] += i * stride[k][0];
  }
};

/// Strides of a dense array of `shape`, by axis.
inline std::array<std::int64_t, Shape::kMaxRank> dense_strides(const Shape& shape) {
  std::array<std::int64_t, Shape::kMaxRank> strides{};
  std::int64_t step = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[static_cast<std::size_t>(axis)] = step;
    step *= shape[axis];
  }
  return strides;
}

/// Operands broadcast to `out` NumPy-wise.
template <int kOperands>
Strided<kOperands> broadcast(const Shape& out, const std::array<Shape, kOperands>& operands) {
  Strided<kOperands> walk;
  for (int axis = 0; axis < out.rank(); ++axis) {
    std::array<std::int64_t, kOperands> strides{};
    for (std::size_t k = 0; k < operands.size(); ++k) {
      const int own = axis - (out.rank() - operands[k].rank());
      if (own >= 0 && operands[k][own] != 1) strides[k] = dense_strides(operands[k])[static_cast<std::size_t>(own)];
    }
    walk.add(out[axis], strides);
  }
  return walk;
}

}  // namespace deq::cuda
