#pragma once

#include "core/cuda/lowering.h"
#include "core/cuda/strided.h"

// Maps over elements. Every functor reads an element of an operand of equal size before it writes the same element of
// the output, so the output may lie exactly over it.

namespace deq::cuda {

template <class Fn>
struct MapElements {
  const float* x;
  float* y;
  Fn fn;
  DEQ_HOST_DEVICE void operator()(Index i) const { y[i] = fn(x[i]); }
};

/// scale * x + offset.
struct AffineFunctor {
  float scale, offset;
  DEQ_HOST_DEVICE float operator()(float x) const { return scale * x + offset; }
};

template <class Fn>
struct CombineElements {
  const float *a, *b;
  float* y;
  Strided<2> walk;
  Fn fn;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    Index at[2];
    walk.offsets(i, at);
    y[i] = fn(a[at[0]], b[at[1]]);
  }
};

template <class T>
struct FillElements {
  T* y;
  T value;
  DEQ_HOST_DEVICE void operator()(Index i) const { y[i] = value; }
};

/// y[i] = x[offset + strided i].
template <class T>
struct ReadStrided {
  const T* x;
  T* y;
  Strided<1> walk;
  Index offset;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    Index at[1];
    walk.offsets(i, at);
    y[i] = x[offset + at[0]];
  }
};

/// Kernel that reads its one operand through `walk`, whatever the element type.
template <class Launcher>
std::unique_ptr<Kernel> make_strided_read(const KernelRequest& request, const Launcher& launcher,
                                          const Strided<1>& walk, std::int64_t offset = 0) {
  const std::int64_t n = request.outputs[0].shape.elements();
  return with_word(request, size_of(request.outputs[0].dtype), [&](auto word) {
    using T = decltype(word);
    return make_kernel([=, at = narrow(offset)](const Operands& bound) {
      launcher.for_each(n, ReadStrided<T>{bound.in<T>(0), bound.out<T>(0), walk, at});
    });
  });
}

/// The same bytes in the output.
template <class Launcher>
std::unique_ptr<Kernel> make_copy(const KernelRequest& request, const Launcher& launcher) {
  Strided<1> walk;
  walk.add(request.outputs[0].shape.elements(), {1});
  return make_strided_read(request, launcher, walk);
}

template <class T, class Launcher>
std::unique_ptr<Kernel> make_fill(const Launcher& launcher, std::int64_t n, double value) {
  return make_kernel([=](const Operands& bound) {
    launcher.for_each(n, FillElements<T>{bound.out<T>(0), static_cast<T>(value)});
  });
}

template <class Launcher>
std::unique_ptr<Kernel> lower_constant(const KernelRequest& request, const Launcher& launcher, const Constant& op) {
  const std::int64_t n = request.outputs[0].shape.elements();
  switch (request.outputs[0].dtype) {
    case DType::f32: return make_fill<float>(launcher, n, op.value);
    case DType::f64: return make_fill<double>(launcher, n, op.value);
    case DType::i32: return make_fill<std::int32_t>(launcher, n, op.value);
    case DType::i64: return make_fill<std::int64_t>(launcher, n, op.value);
    case DType::u8: return make_fill<std::uint8_t>(launcher, n, op.value);
    case DType::bf16: break;
  }
  no_kernel(request, "no constants of this element type");
}

template <class Fn, class Launcher>
std::unique_ptr<Kernel> make_map(const KernelRequest& request, const Launcher& launcher, Fn fn) {
  require_f32(request);
  return make_kernel([=, n = request.outputs[0].shape.elements()](const Operands& bound) {
    launcher.for_each(n, MapElements<Fn>{bound.in(0), bound.out(0), fn});
  });
}

template <class Launcher>
std::unique_ptr<Kernel> lower_binary(const KernelRequest& request, const Launcher& launcher, const Binary& op) {
  require_f32(request);
  const Shape& out = request.outputs[0].shape;
  const Strided<2> walk = broadcast<2>(out, {request.inputs[0].shape, request.inputs[1].shape});
  return with_functor(op.fn, [&](auto fn) -> std::unique_ptr<Kernel> {
    return make_kernel([=, n = out.elements()](const Operands& bound) {
      launcher.for_each(n, CombineElements<decltype(fn)>{bound.in(0), bound.in(1), bound.out(0), walk, fn});
    });
  });
}

/// Constant, Unary, Binary, Affine, Copy.
template <class Launcher>
std::unique_ptr<Kernel> lower_elementwise(const KernelRequest& request, const Launcher& launcher) {
  if (is_idle(request)) return make_idle_kernel();
  if (const auto* op = std::get_if<Binary>(&request.op)) return lower_binary(request, launcher, *op);
  if (const auto* op = std::get_if<Constant>(&request.op)) return lower_constant(request, launcher, *op);
  if (const auto* op = std::get_if<Affine>(&request.op))
    return make_map(request, launcher, AffineFunctor{static_cast<float>(op->scale), static_cast<float>(op->offset)});
  if (const auto* op = std::get_if<Unary>(&request.op))
    return with_functor(op->fn, [&](auto fn) { return make_map(request, launcher, fn); });
  if (std::holds_alternative<Copy>(request.op)) return make_copy(request, launcher);
  no_kernel(request, "not an elementwise op");
}

}  // namespace deq::cuda
