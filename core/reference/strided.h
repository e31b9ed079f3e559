#pragma once

#include <array>
#include <cstdint>

#include "core/shape.h"

namespace deq::reference {

using Strides = std::array<std::int64_t, Shape::kMaxRank>;

/// Steps between neighbours along each axis of a dense array of `shape`.
inline Strides dense_strides(const Shape& shape) {
  Strides strides{};
  std::int64_t step = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[static_cast<std::size_t>(axis)] = step;
    step *= shape[axis];
  }
  return strides;
}

/// Strides for reading a dense array of `from` as if it had shape `to`: right-aligned, 0 along broadcast axes.
inline Strides broadcast_strides(const Shape& from, const Shape& to) {
  const Strides dense = dense_strides(from);
  Strides strides{};
  const int missing = to.rank() - from.rank();
  for (int axis = 0; axis < from.rank(); ++axis) {
    if (from[axis] != 1) strides[static_cast<std::size_t>(axis + missing)] = dense[static_cast<std::size_t>(axis)];
  }
  return strides;
}

/// Offset in a strided array of element `flat` of a dense array of `shape`.
inline std::int64_t strided_offset(std::int64_t flat, const Shape& shape, const Strides& strides) {
  std::int64_t offset = 0;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    offset += flat % shape[axis] * strides[static_cast<std::size_t>(axis)];
    flat /= shape[axis];
  }
  return offset;
}

}  // namespace deq::reference
