#include "core/elementwise.h"

#include <algorithm>
#include <cstring>

#include "core/cpu/bound_kernel.h"
#include "core/cpu/broadcast.h"
#include "core/cpu/float_functions.h"
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

/// Rows along axis 0 of a result; 0 when it has no such axis.
std::int64_t samples_of(const Shape& shape) { return shape.rank() > 0 ? shape[0] : 0; }

/// y[i] = fn(x[i]).
template <class Fn>
std::unique_ptr<Kernel> make_map(const Shape& shape, Fn fn) {
  const std::int64_t n = shape.elements(), samples = samples_of(shape), row = samples > 0 ? n / samples : 0;
  const auto run_range = [fn](const Operands& operands, std::int64_t begin, std::int64_t end) {
    const float* x = operands.in(0);
    float* y = operands.out(0);
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) y[i] = fn(x[i]);
  };
  const auto run_all = [n, run_range](const Operands& operands) {
    parallel_elements(n, [&](std::int64_t begin, std::int64_t end) { run_range(operands, begin, end); });
  };
  const auto run_some = [row, run_range](const Operands& operands, std::int64_t first, std::int64_t last, std::byte*) {
    run_range(operands, first * row, last * row);
  };
  return make_sample_kernel(run_all, 0, SampleRun{samples, run_some});
}

std::unique_ptr<Kernel> lower_unary(const KernelRequest& request, const Unary& op) {
  require_f32(request);
  const Shape& shape = request.outputs[0].shape;
  switch (op.fn) {  // those of core/elementwise.h would call the library for every element
    case UnaryFn::exp: return make_map(shape, [](float x) { return exponential(x); });
    case UnaryFn::sigmoid: return make_map(shape, [](float x) { return logistic(x); });
    case UnaryFn::gelu: return make_map(shape, [](float x) { return x * normal_point(x).below; });
    case UnaryFn::gelu_derivative:
      return make_map(shape, [](float x) {
        const NormalPoint at = normal_point(x);
        return at.below + x * at.density;
      });
    default: return with_functor(op.fn, [&](auto fn) { return make_map(shape, fn); });
  }
}

/// A broadcast of one sample, and floats from one sample to the next: 0 for an operand that all samples share.
struct SampleRows {
  std::int64_t samples, out = 0, a = 0, b = 0;
  BroadcastPlan plan;

  SampleRows(const Shape& out_shape, const Shape& a_shape, const Shape& b_shape)
      : samples(samples_of(out_shape)),
        plan(one(out_shape, out_shape), one(a_shape, out_shape), one(b_shape, out_shape)) {
    if (samples == 0) return;
    out = out_shape.elements() / samples;
    a = has_rows(a_shape, out_shape) ? a_shape.elements() / samples : 0;
    b = has_rows(b_shape, out_shape) ? b_shape.elements() / samples : 0;
  }

 private:
  static bool has_rows(const Shape& shape, const Shape& out) {
    return shape.rank() > 0 && shape.rank() == out.rank() && shape[0] == out[0];
  }
  static Shape one(const Shape& shape, const Shape& out) { return has_rows(shape, out) ? shape.with(0, 1) : shape; }
};

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
  const Shape &out = request.outputs[0].shape, &a = request.inputs[0].shape, &b = request.inputs[1].shape;
  const BroadcastPlan plan(out, a, b);
  const SampleRows rows(out, a, b);
  return with_functor(op.fn, [&plan, &rows](auto fn) {
    const auto run = [fn](const BroadcastPlan& by, const float* x, const float* z, float* y) {
      by.for_each_row([&](std::int64_t at, std::int64_t at_a, std::int64_t at_b, std::int64_t n) {
        binary_row(fn, by.inner(), x + at_a, z + at_b, y + at, n);
      });
    };
    const auto run_all = [plan, run](const Operands& o) { run(plan, o.in(0), o.in(1), o.out(0)); };
    const auto run_some = [rows, run](const Operands& o, std::int64_t first, std::int64_t last, std::byte*) {
      for (std::int64_t i = first; i < last; ++i)
        run(rows.plan, o.in(0) + i * rows.a, o.in(1) + i * rows.b, o.out(0) + i * rows.out);
    };
    return make_sample_kernel(run_all, 0, SampleRun{rows.samples, run_some});
  });
}

std::unique_ptr<Kernel> lower_affine(const KernelRequest& request, const Affine& op) {
  require_f32(request);
  const auto scale = static_cast<float>(op.scale), offset = static_cast<float>(op.offset);
  return make_map(request.outputs[0].shape, [scale, offset](float x) { return scale * x + offset; });
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

std::unique_ptr<Kernel> lower_copy(const KernelRequest& request) {
  const auto bytes = static_cast<std::int64_t>(request.outputs[0].bytes());
  const std::int64_t samples = samples_of(request.outputs[0].shape), row = samples > 0 ? bytes / samples : 0;
  const auto run_all = [bytes](const Operands& operands) {
    parallel_copy(operands.outputs[0], operands.inputs[0], bytes);
  };
  const auto run_some = [row](const Operands& operands, std::int64_t first, std::int64_t last, std::byte*) {
    std::memcpy(static_cast<std::byte*>(operands.outputs[0]) + first * row,
                static_cast<const std::byte*>(operands.inputs[0]) + first * row,
                static_cast<std::size_t>((last - first) * row));
  };
  return make_sample_kernel(run_all, 0, SampleRun{samples, run_some});
}

}  // namespace

std::unique_ptr<Kernel> lower_elementwise(const KernelRequest& request) {
  if (!request.output_used[0] || request.outputs[0].shape.elements() == 0) return make_idle_kernel();
  if (const auto* op = std::get_if<Unary>(&request.op)) return lower_unary(request, *op);
  if (const auto* op = std::get_if<Binary>(&request.op)) return lower_binary(request, *op);
  if (const auto* op = std::get_if<Affine>(&request.op)) return lower_affine(request, *op);
  if (const auto* op = std::get_if<Constant>(&request.op)) return lower_constant(request, *op);
  if (std::holds_alternative<BroadcastTo>(request.op)) return lower_broadcast_to(request);
  if (std::holds_alternative<Copy>(request.op)) return lower_copy(request);
  no_kernel(request, "not an elementwise op");
}

}  // namespace deq::cpu
