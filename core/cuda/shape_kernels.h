#pragma once

#include <vector>

#include "core/cuda/elementwise_kernels.h"

// Ops that move elements, of every type.

namespace deq::cuda {

/// y[offset + strided i] = x[i].
template <class T>
struct WriteStrided {
  const T* x;
  T* y;
  Strided<1> walk;
  Index offset;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    Index at[1];
    walk.offsets(i, at);
    y[offset + at[0]] = x[i];
  }
};

/// A result [outer, extent, inner] from [outer, extent - before - after, inner].
template <class T>
struct PadElements {
  const T* x;
  T* y;
  Index extent, inner, before, kept;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    const Index row = i / inner, outer = row / extent, from = row - outer * extent - before;
    y[i] = from >= 0 && from < kept ? x[(outer * kept + from) * inner + i - row * inner] : T(0);
  }
};

/// A dense array of `shape` walked inside one of `within`, which differs along some axes only in extent.
inline Strided<1> walk_within(const Shape& shape, const Shape& within) {
  Strided<1> walk;
  const auto strides = dense_strides(within);
  for (int axis = 0; axis < shape.rank(); ++axis) walk.add(shape[axis], {strides[static_cast<std::size_t>(axis)]});
  return walk;
}

template <class Launcher>
std::unique_ptr<Kernel> lower_transpose(const KernelRequest& request, const Launcher& launcher, const Transpose& op) {
  const Shape& in = request.inputs[0].shape;
  const auto strides = dense_strides(in);
  Strided<1> walk;
  for (const int axis : op.permutation) walk.add(in[axis], {strides[static_cast<std::size_t>(axis)]});
  return make_strided_read(request, launcher, walk);
}

template <class Launcher>
std::unique_ptr<Kernel> lower_slice(const KernelRequest& request, const Launcher& launcher, const Slice& op) {
  const Shape& in = request.inputs[0].shape;
  return make_strided_read(request, launcher, walk_within(request.outputs[0].shape, in),
                           op.begin * dense_strides(in)[static_cast<std::size_t>(op.axis)]);
}

template <class Launcher>
std::unique_ptr<Kernel> lower_pad(const KernelRequest& request, const Launcher& launcher, const Pad& op) {
  const Shape& out = request.outputs[0].shape;
  const Index extent = narrow(out[op.axis]), kept = narrow(request.inputs[0].shape[op.axis]);
  const Index inner = narrow(dense_strides(out)[static_cast<std::size_t>(op.axis)]), before = narrow(op.before);
  return with_word(request, size_of(request.outputs[0].dtype), [&](auto word) {
    using T = decltype(word);
    return make_kernel([=, n = out.elements()](const Operands& bound) {
      launcher.for_each(n, PadElements<T>{bound.in<T>(0), bound.out<T>(0), extent, inner, before, kept});
    });
  });
}

/// One part of a concatenation: where its elements go.
struct ConcatPart {
  std::int64_t elements;
  Strided<1> walk;
  Index offset;
};

template <class Launcher>
std::unique_ptr<Kernel> lower_concat(const KernelRequest& request, const Launcher& launcher, const Concat& op) {
  const Shape& out = request.outputs[0].shape;
  std::vector<ConcatPart> parts;
  std::int64_t begin = 0;
  for (const TensorType& part : request.inputs) {
    parts.push_back({part.shape.elements(), walk_within(part.shape, out),
                     narrow(begin * dense_strides(out)[static_cast<std::size_t>(op.axis)])});
    begin += part.shape[op.axis];
  }
  return with_word(request, size_of(request.outputs[0].dtype), [&](auto word) {
    using T = decltype(word);
    return make_kernel([launcher, parts](const Operands& bound) {
      for (std::size_t i = 0; i < parts.size(); ++i)
        launcher.for_each(parts[i].elements,
                          WriteStrided<T>{bound.in<T>(i), bound.out<T>(0), parts[i].walk, parts[i].offset});
    });
  });
}

/// Reshape, Transpose, Concat, Slice, Pad, BroadcastTo.
template <class Launcher>
std::unique_ptr<Kernel> lower_shape(const KernelRequest& request, const Launcher& launcher) {
  if (is_idle(request)) return make_idle_kernel();
  if (std::holds_alternative<Reshape>(request.op)) return make_copy(request, launcher);
  if (std::holds_alternative<BroadcastTo>(request.op))
    return make_strided_read(request, launcher, broadcast<1>(request.outputs[0].shape, {request.inputs[0].shape}));
  if (const auto* op = std::get_if<Transpose>(&request.op)) return lower_transpose(request, launcher, *op);
  if (const auto* op = std::get_if<Concat>(&request.op)) return lower_concat(request, launcher, *op);
  if (const auto* op = std::get_if<Slice>(&request.op)) return lower_slice(request, launcher, *op);
  if (const auto* op = std::get_if<Pad>(&request.op)) return lower_pad(request, launcher, *op);
  no_kernel(request, "not a shape op");
}

}  // namespace deq::cuda
