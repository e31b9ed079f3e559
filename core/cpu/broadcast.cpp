#include "core/cpu/broadcast.h"

namespace deq::cpu {

namespace {

/// Stride of right-aligned `shape` at each axis of an output of rank `rank`.
std::array<std::int64_t, Shape::kMaxRank> strides_in(const Shape& shape, int rank) {
  std::array<std::int64_t, Shape::kMaxRank> strides{};
  std::int64_t stride = 1;
  for (int i = 1; i <= shape.rank(); ++i) {
    strides[static_cast<std::size_t>(rank - i)] = shape[-i] == 1 ? 0 : stride;
    stride *= shape[-i];
  }
  return strides;
}

}  // namespace

BroadcastPlan::BroadcastPlan(const Shape& out, const Shape& a, const Shape& b) {
  const auto strides_a = strides_in(a, out.rank());
  const auto strides_b = strides_in(b, out.rank());
  std::array<BroadcastAxis, Shape::kMaxRank> merged{};
  int count = 0;
  for (int axis = 0; axis < out.rank(); ++axis) {
    const auto i = static_cast<std::size_t>(axis);
    const BroadcastAxis next{out[axis], strides_a[i], strides_b[i]};
    if (next.extent == 1) continue;
    BroadcastAxis* last = count > 0 ? &merged[static_cast<std::size_t>(count - 1)] : nullptr;
    if (last != nullptr && last->stride_a == next.stride_a * next.extent &&
        last->stride_b == next.stride_b * next.extent) {
      *last = {last->extent * next.extent, next.stride_a, next.stride_b};
    } else {
      merged[static_cast<std::size_t>(count++)] = next;
    }
  }
  if (count > 0) inner_ = merged[static_cast<std::size_t>(--count)];
  for (int axis = 0; axis < count; ++axis) rows_ *= merged[static_cast<std::size_t>(axis)].extent;
  outer_ = merged;
  outer_count_ = count;
}

}  // namespace deq::cpu
