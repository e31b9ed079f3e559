#include "core/elementwise.h"

#include <algorithm>
#include <cstring>

#include "core/cpu/bound_kernel.h"
#include "core/cpu/broadcast.h"
#include "core/cpu/kernels.h"
#include "core/cpu/parallel.h"

// Maps over elements. Every kernel here reads an element before it writes the same element of the output, so the output
// may lie exactly over an input of equal size.

namespace deq::cpu {

namespace {

void require_f32(const KernelRequest& request) {
  for (const TensorType& type : request.inputs) {
    if (type.dtype != DType::f32) no_kernel(request, "inputs must be f32");
  }
  if (request.outputs[0].dtype != DType::f32) no_kernel(request, "the output must be f32");
}

/// y[i] = fn(x[i]).
template <class Fn>
std::unique_ptr<Kernel> make_map(std::int64_t n, Fn fn) {
  return make_kernel([n, fn](const Operands& operands) {
    const float* x = operands.in(0);
    float* y = operands.out(0);
    parallel_elements(n, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) y[i] = fn(x[i]);
    });
  });
}

std::unique_ptr<Kernel> lower_unary(const KernelRequest& request, const Unary& op) {
  require_f32(request);
  const std::int64_t n = request.outputs[0].shape.elements();
  return with_functor(op.fn, [n](auto fn) { return make_map(n, fn); });
}

/// One row of y = fn(a, b); a stride of 0 repeats one element.
template <class Fn>
void binary_row(const Fn& fn, const BroadcastAxis& axis, const float* a, const float* b, float* y, std::int64_t n) {
  if (axis.stride_a != 0 && axis.stride_b != 0) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = fn(a[i], b[i]);
  } else if (axis.stride_a != 0) {
    const float repeated = *b;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = fn(a[i], repeated);
  } else {
    // Both strides 0 can only be a row of one element, which this loop covers too.
    const float repeated = *a;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = fn(repeated, b[i]);
  }
}

std::unique_ptr<Kernel> lower_binary(const KernelRequest& request, const Binary& op) {
  require_f32(request);
  const BroadcastPlan plan(request.outputs[0].shape, request.inputs[0].shape, request.inputs[1].shape);
  return with_functor(op.fn, [&plan](auto fn) {
    return make_kernel([plan, fn](const Operands& operands) {
      const float *a = operands.in(0), *b = operands.in(1);
      float* y = operands.out(0);
      plan.for_each_row([&](std::int64_t at, std::int64_t at_a, std::int64_t at_b, std::int64_t n) {
        binary_row(fn, plan.inner(), a + at_a, b + at_b, y + at, n);
      });
    });
  });
}

std::unique_ptr<Kernel> lower_affine(const KernelRequest& request, const Affine& op) {
  require_f32(request);
  const auto scale = static_cast<float>(op.scale), offset = static_cast<float>(op.offset);
  return make_map(request.outputs[0].shape.elements(), [scale, offset](float x) { return scale * x + offset; });
}

template <class T>
std::unique_ptr<Kernel> make_fill(std::int64_t n, double value) {
  return make_kernel([n, fill = static_cast<T>(value)](const Operands& operands) {
    T* y = operands.out<T>(0);
    parallel_elements(n, [=](std::int64_t begin, std::int64_t end) { std::fill(y + begin, y + end, fill); });
  });
}

std::unique_ptr<Kernel> lower_constant(const KernelRequest& request, const Constant& op) {
  const std::int64_t n = request.outputs[0].shape.elements();
  switch (request.outputs[0].dtype) {
    case DType::f32: return make_fill<float>(n, op.value);
    case DType::f64: return make_fill<double>(n, op.value);
    case DType::i32: return make_fill<std::int32_t>(n, op.value);
    case DType::i64: return make_fill<std::int64_t>(n, op.value);
    case DType::u8: return make_fill<std::uint8_t>(n, op.value);
    case DType::bf16: break;
  }
  no_kernel(request, "no constants of this element type");
}

/// Repeats elements of T, any type of that size.
template <class T>
std::unique_ptr<Kernel> make_broadcast(const BroadcastPlan& plan) {
  return make_kernel([plan](const Operands& operands) {
    const T* x = operands.in<T>(0);
    T* y = operands.out<T>(0);
    plan.for_each_row([&](std::int64_t at, std::int64_t from, std::int64_t, std::int64_t n) {
      if (plan.inner().stride_a != 0) {
        std::copy_n(x + from, n, y + at);
      } else {
        std::fill_n(y + at, n, x[from]);
      }
    });
  });
}

std::unique_ptr<Kernel> lower_broadcast_to(const KernelRequest& request) {
  const Shape& in = request.inputs[0].shape;
  const BroadcastPlan plan(request.outputs[0].shape, in, in);
  switch (size_of(request.outputs[0].dtype)) {
    case 1: return make_broadcast<std::uint8_t>(plan);
    case 2: return make_broadcast<std::uint16_t>(plan);
    case 4: return make_broadcast<std::uint32_t>(plan);
    case 8: return make_broadcast<std::uint64_t>(plan);
  }
  no_kernel(request, "no broadcast of this element type");
}

}  // namespace

std::unique_ptr<Kernel> lower_elementwise(const KernelRequest& request) {
  if (!request.output_used[0] || request.outputs[0].shape.elements() == 0) return make_idle_kernel();
  if (const auto* op = std::get_if<Unary>(&request.op)) return lower_unary(request, *op);
  if (const auto* op = std::get_if<Binary>(&request.op)) return lower_binary(request, *op);
  if (const auto* op = std::get_if<Affine>(&request.op)) return lower_affine(request, *op);
  if (const auto* op = std::get_if<Constant>(&request.op)) return lower_constant(request, *op);
  if (std::holds_alternative<BroadcastTo>(request.op)) return lower_broadcast_to(request);
  if (std::holds_alternative<Copy>(request.op)) {
    return make_kernel([bytes = static_cast<std::int64_t>(request.outputs[0].bytes())](const Operands& operands) {
      parallel_copy(operands.outputs[0], operands.inputs[0], bytes);
    });
  }
  no_kernel(request, "not an elementwise op");
}

}  // namespace deq::cpu
