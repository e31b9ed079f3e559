#include <cstring>

#include "core/reference/kernel.h"
#include "core/reference/strided.h"

namespace deq::reference {
namespace {

std::size_t element_bytes(const KernelRequest& request) { return size_of(stored(request.inputs[0].dtype)); }

/// out[i] = in[offset + strided(i)] for every element of `shape`, whatever the type.
Body gather_strided(const Shape& shape, const Strides& strides, std::int64_t offset, std::size_t bytes) {
  return [=](const Operands& at) {
    for (std::int64_t i = 0; i < shape.elements(); ++i) {
      const std::int64_t source = offset + strided_offset(i, shape, strides);
      std::memcpy(at.bytes_out() + i * static_cast<std::int64_t>(bytes),
                  at.bytes(0) + source * static_cast<std::int64_t>(bytes), bytes);
    }
  };
}

/// out[offset + strided(i)] = in[i] for every element of input `input`.
void scatter_strided(const Operands& at, std::size_t input, const Shape& shape, const Strides& strides,
                     std::int64_t offset, std::size_t bytes) {
  for (std::int64_t i = 0; i < shape.elements(); ++i) {
    const std::int64_t target = offset + strided_offset(i, shape, strides);
    std::memcpy(at.bytes_out() + target * static_cast<std::int64_t>(bytes),
                at.bytes(input) + i * static_cast<std::int64_t>(bytes), bytes);
  }
}

}  // namespace

Body lower(const Reshape&, const KernelRequest& request) { return lower(Copy{}, request); }

Body lower(const Transpose& op, const KernelRequest& request) {
  const Strides in = dense_strides(request.inputs[0].shape);
  Strides permuted{};
  for (std::size_t axis = 0; axis < op.permutation.size(); ++axis) {
    permuted[axis] = in[static_cast<std::size_t>(op.permutation[axis])];
  }
  return gather_strided(request.outputs[0].shape, permuted, 0, element_bytes(request));
}

Body lower(const Concat& op, const KernelRequest& request) {
  const Strides strides = dense_strides(request.outputs[0].shape);
  const std::int64_t step = strides[static_cast<std::size_t>(op.axis)];
  std::vector<Shape> parts;
  for (const TensorType& type : request.inputs) parts.push_back(type.shape);
  return [parts, strides, step, axis = op.axis, bytes = element_bytes(request)](const Operands& at) {
    std::int64_t begin = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      scatter_strided(at, i, parts[i], strides, begin * step, bytes);
      begin += parts[i][axis];
    }
  };
}

Body lower(const Slice& op, const KernelRequest& request) {
  const Strides strides = dense_strides(request.inputs[0].shape);
  const std::int64_t offset = op.begin * strides[static_cast<std::size_t>(op.axis)];
  return gather_strided(request.outputs[0].shape, strides, offset, element_bytes(request));
}

Body lower(const Pad& op, const KernelRequest& request) {
  const Shape shape = request.inputs[0].shape;
  const Strides strides = dense_strides(request.outputs[0].shape);
  const std::int64_t offset = op.before * strides[static_cast<std::size_t>(op.axis)];
  const std::size_t bytes = element_bytes(request);
  const std::size_t total = static_cast<std::size_t>(request.outputs[0].shape.elements()) * bytes;
  return [=](const Operands& at) {
    std::memset(at.outputs[0], 0, total);
    scatter_strided(at, 0, shape, strides, offset, bytes);
  };
}

Body lower(const BroadcastTo&, const KernelRequest& request) {
  const Shape shape = request.outputs[0].shape;
  return gather_strided(shape, broadcast_strides(request.inputs[0].shape, shape), 0, element_bytes(request));
}

Body lower(const Sum& op, const KernelRequest& request) {
  check(is_float(request.inputs[0].dtype), "reference", "sum has no kernel for ", request.inputs[0], " (layer '",
        request.label, "')");
  const Shape in = request.inputs[0].shape;
  Shape kept = in;
  for (const int axis : op.axes) kept = kept.with(axis, 1);
  const Strides strides = broadcast_strides(kept, in);
  return [in, kept, strides](const Operands& at) {
    std::fill_n(at.out(), kept.elements(), 0.0);
    for (std::int64_t i = 0; i < in.elements(); ++i) at.out()[strided_offset(i, in, strides)] += at.in(0)[i];
  };
}

}  // namespace deq::reference
