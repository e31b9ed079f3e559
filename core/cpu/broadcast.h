#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/cpu/parallel.h"
#include "core/shape.h"

namespace deq::cpu {

/// How two operands are read along one axis of the output: strides in elements, 0 where the operand is repeated.
struct BroadcastAxis {
  std::int64_t extent = 1;
  std::int64_t stride_a = 0;
  std::int64_t stride_b = 0;
};

/// Two operands broadcast to an output, as rows along the innermost axis after merging axes that are walked alike.
/// Equal shapes and scalars become one row; a channel vector becomes rows of C; [B,1,1,C] rows of C in two outer axes.
class BroadcastPlan {
 public:
  /// Operands are dense and broadcast to `out` NumPy-wise.
  BroadcastPlan(const Shape& out, const Shape& a, const Shape& b);

  [[nodiscard]] std::int64_t elements() const { return rows_ * inner_.extent; }
  /// Axis of the rows; its strides are 0 or 1.
  [[nodiscard]] const BroadcastAxis& inner() const { return inner_; }

  /// body(out_offset, a_offset, b_offset, count) over runs of the innermost axis, in parallel.
  template <class Body>
  void for_each_row(const Body& body) const {
    constexpr std::int64_t kPiece = kSerialElements / 2;
    const std::int64_t pieces = std::max<std::int64_t>(1, (inner_.extent + kPiece - 1) / kPiece);
    const std::int64_t runs = rows_ * pieces;
    const std::int64_t runs_per_block = std::max<std::int64_t>(1, kPiece / std::max<std::int64_t>(1, inner_.extent));
    parallel_blocks(runs, runs_per_block, elements(), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t run = begin; run < end; ++run) {
        const std::int64_t row = run / pieces, start = (run % pieces) * kPiece;
        const std::int64_t count = std::min(kPiece, inner_.extent - start);
        std::int64_t a = start * inner_.stride_a, b = start * inner_.stride_b, rest = row;
        for (int axis = outer_count_ - 1; axis >= 0; --axis) {
          const BroadcastAxis& outer = outer_[static_cast<std::size_t>(axis)];
          const std::int64_t index = axis == 0 ? rest : rest % outer.extent;
          a += index * outer.stride_a;
          b += index * outer.stride_b;
          if (axis > 0) rest /= outer.extent;
        }
        body(row * inner_.extent + start, a, b, count);
      }
    });
  }

 private:
  std::array<BroadcastAxis, Shape::kMaxRank> outer_{};
  int outer_count_ = 0;
  BroadcastAxis inner_;
  std::int64_t rows_ = 1;
};

}  // namespace deq::cpu
