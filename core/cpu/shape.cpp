#include <algorithm>
#include <cstring>
#include <vector>

#include "core/cpu/bound_kernel.h"
#include "core/cpu/kernels.h"
#include "core/cpu/parallel.h"
#include "core/cpu/sum.h"

// Ops that move elements. All but Transpose and Sum copy contiguous pieces and take every element type.

namespace deq::cpu {

namespace {

std::int64_t product(const Shape& shape, int begin, int end) {
  std::int64_t n = 1;
  for (int axis = begin; axis < end; ++axis) n *= shape[axis];
  return n;
}

/// A tensor seen from one axis: `outer` pieces of `piece_bytes` (the axis and everything inside it).
struct Pieces {
  std::int64_t outer = 1, piece_bytes = 0, inner_bytes = 0;

  Pieces(const TensorType& type, int axis)
      : outer(product(type.shape, 0, axis)),
        inner_bytes(product(type.shape, axis + 1, type.shape.rank()) * static_cast<std::int64_t>(size_of(type.dtype))) {
    piece_bytes = type.shape[axis] * inner_bytes;
  }
};

/// body(i) for each outer index, whole blocks of about 32 KiB to a task.
template <class Body>
void for_each_piece(std::int64_t outer, std::int64_t piece_bytes, const Body& body) {
  const std::int64_t per_block = std::max<std::int64_t>(1, 32 * 1024 / std::max<std::int64_t>(1, piece_bytes));
  parallel_blocks(outer, per_block, outer * piece_bytes / 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) body(i);
  });
}

void copy_bytes(std::byte* to, const std::byte* from, std::int64_t bytes) {
  std::memcpy(to, from, static_cast<std::size_t>(bytes));
}

std::unique_ptr<Kernel> lower_concat(const KernelRequest& request, const Concat& op) {
  const Pieces out(request.outputs[0], op.axis);
  std::vector<std::int64_t> bytes;
  for (const TensorType& part : request.inputs) bytes.push_back(Pieces(part, op.axis).piece_bytes);
  return make_kernel([out, bytes = std::move(bytes)](const Operands& operands) {
    for_each_piece(out.outer, out.piece_bytes, [&](std::int64_t i) {
      std::byte* to = operands.out<std::byte>(0) + i * out.piece_bytes;
      for (std::size_t part = 0; part < bytes.size(); ++part) {
        copy_bytes(to, operands.in<std::byte>(part) + i * bytes[part], bytes[part]);
        to += bytes[part];
      }
    });
  });
}

std::unique_ptr<Kernel> lower_slice(const KernelRequest& request, const Slice& op) {
  const Pieces in(request.inputs[0], op.axis), out(request.outputs[0], op.axis);
  return make_kernel([in, out, skipped = op.begin * in.inner_bytes](const Operands& operands) {
    for_each_piece(out.outer, out.piece_bytes, [&](std::int64_t i) {
      copy_bytes(operands.out<std::byte>(0) + i * out.piece_bytes,
                 operands.in<std::byte>(0) + i * in.piece_bytes + skipped, out.piece_bytes);
    });
  });
}

std::unique_ptr<Kernel> lower_pad(const KernelRequest& request, const Pad& op) {
  const Pieces in(request.inputs[0], op.axis), out(request.outputs[0], op.axis);
  const std::int64_t before = op.before * in.inner_bytes, after = op.after * in.inner_bytes;
  return make_kernel([in, out, before, after](const Operands& operands) {
    for_each_piece(out.outer, out.piece_bytes, [&](std::int64_t i) {
      std::byte* to = operands.out<std::byte>(0) + i * out.piece_bytes;
      std::memset(to, 0, static_cast<std::size_t>(before));
      copy_bytes(to + before, operands.in<std::byte>(0) + i * in.piece_bytes, in.piece_bytes);
      std::memset(to + before + in.piece_bytes, 0, static_cast<std::size_t>(after));
    });
  });
}

/// A permutation after merging output axes that stay neighbours, outermost first.
struct Permutation {
  struct Axis {
    std::int64_t extent = 1, stride = 1;  ///< stride in the input, in elements
  };
  std::vector<Axis> outer;
  Axis inner;
  std::int64_t rows = 1;

  Permutation(const Shape& in, const std::vector<int>& permutation) {
    for (const int axis : permutation) {
      const Axis next{in[axis], product(in, axis + 1, in.rank())};
      if (next.extent == 1) continue;
      if (!outer.empty() && outer.back().stride == next.extent * next.stride) {
        outer.back() = {outer.back().extent * next.extent, next.stride};
      } else {
        outer.push_back(next);
      }
    }
    if (!outer.empty()) {
      inner = outer.back();
      outer.pop_back();
    }
    for (const Axis& axis : outer) rows *= axis.extent;
  }
  /// Offset in the input of output row `row`.
  [[nodiscard]] std::int64_t offset(std::int64_t row) const {
    std::int64_t at = 0;
    for (auto axis = outer.rbegin(); axis != outer.rend(); ++axis) {
      at += row % axis->extent * axis->stride;
      row /= axis->extent;
    }
    return at;
  }
};

template <class T>
std::unique_ptr<Kernel> make_transpose(Permutation permutation) {
  return make_kernel([permutation = std::move(permutation)](const Operands& operands) {
    const T* x = operands.in<T>(0);
    T* y = operands.out<T>(0);
    const std::int64_t n = permutation.inner.extent, stride = permutation.inner.stride;
    for_each_piece(permutation.rows, n * static_cast<std::int64_t>(sizeof(T)), [&](std::int64_t row) {
      const T* from = x + permutation.offset(row);
      T* to = y + row * n;
      if (stride == 1) {
        std::copy_n(from, n, to);
      } else {
        for (std::int64_t i = 0; i < n; ++i) to[i] = from[i * stride];
      }
    });
  });
}

std::unique_ptr<Kernel> lower_transpose(const KernelRequest& request, const Transpose& op) {
  Permutation permutation(request.inputs[0].shape, op.permutation);
  switch (size_of(request.inputs[0].dtype)) {
    case 1: return make_transpose<std::uint8_t>(std::move(permutation));
    case 2: return make_transpose<std::uint16_t>(std::move(permutation));
    case 4: return make_transpose<std::uint32_t>(std::move(permutation));
    case 8: return make_transpose<std::uint64_t>(std::move(permutation));
  }
  no_kernel(request, "no transpose of this element type");
}

}  // namespace

std::unique_ptr<Kernel> lower_shape(const KernelRequest& request) {
  if (!request.output_used[0] || request.outputs[0].shape.elements() == 0) return make_idle_kernel();
  if (std::holds_alternative<Reshape>(request.op)) {
    return make_kernel([bytes = static_cast<std::int64_t>(request.outputs[0].bytes())](const Operands& operands) {
      parallel_copy(operands.outputs[0], operands.inputs[0], bytes);
    });
  }
  if (std::holds_alternative<BroadcastTo>(request.op)) return lower_elementwise(request);
  if (const auto* op = std::get_if<Transpose>(&request.op)) return lower_transpose(request, *op);
  if (const auto* op = std::get_if<Concat>(&request.op)) return lower_concat(request, *op);
  if (const auto* op = std::get_if<Slice>(&request.op)) return lower_slice(request, *op);
  if (const auto* op = std::get_if<Pad>(&request.op)) return lower_pad(request, *op);
  if (const auto* op = std::get_if<Sum>(&request.op)) return lower_sum(request, *op);
  no_kernel(request, "not a shape op");
}

}  // namespace deq::cpu
