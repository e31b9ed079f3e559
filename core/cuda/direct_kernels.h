#pragma once

#include "core/cuda/conv_kernels.h"

// Convolutions and products of our own, for shapes the vendor has no algorithm for, and for the host's tests.

namespace deq::cuda {

/// A convolution in 32-bit extents.
struct ConvExtents {
  Index batch, height, width, in, out, kernel_h, kernel_w, out_h, out_w, stride, pad, in_per_group, out_per_group;

  explicit ConvExtents(const ConvShape& shape)
      : batch(narrow(shape.batch)),
        height(narrow(shape.height)),
        width(narrow(shape.width)),
        in(narrow(shape.in_channels)),
        out(narrow(shape.out_channels)),
        kernel_h(narrow(shape.kernel_h)),
        kernel_w(narrow(shape.kernel_w)),
        out_h(narrow(shape.out_height())),
        out_w(narrow(shape.out_width())),
        stride(shape.conv.stride),
        pad(shape.conv.pad),
        in_per_group(in / shape.conv.groups),
        out_per_group(out / shape.conv.groups) {}
  DEQ_HOST_DEVICE Index x_at(Index b, Index row, Index column) const {
    return ((b * height + row) * width + column) * in;
  }
  DEQ_HOST_DEVICE Index y_at(Index b, Index row, Index column) const {
    return ((b * out_h + row) * out_w + column) * out;
  }
  /// Plain weight of output channel `o`, input channel `c` of its group, tap `tap`.
  DEQ_HOST_DEVICE Index w_at(Index o, Index c, Index tap) const {
    return (o * in_per_group + c) * kernel_h * kernel_w + tap;
  }
};

/// One thread a result, sums in double. Weights are plain.
struct DirectConv {
  ConvExtents e;
  const float *x, *w;
  float* y;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    const Index pixel = i / e.out, o = i - pixel * e.out, line = pixel / e.out_w, b = line / e.out_h;
    const Index top = (line - b * e.out_h) * e.stride - e.pad, left = (pixel - line * e.out_w) * e.stride - e.pad;
    const Index first = o / e.out_per_group * e.in_per_group;
    double total = 0;
    for (Index tap = 0; tap < e.kernel_h * e.kernel_w; ++tap) {
      const Index row = top + tap / e.kernel_w, column = left + tap % e.kernel_w;
      if (row < 0 || row >= e.height || column < 0 || column >= e.width) continue;
      const float* from = x + e.x_at(b, row, column) + first;
      for (Index c = 0; c < e.in_per_group; ++c) total += static_cast<double>(from[c]) * w[e.w_at(o, c, tap)];
    }
    y[i] = static_cast<float>(total);
  }
};

struct DirectConvInputGrad {
  ConvExtents e;
  const float *g, *w;
  float* dx;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    const Index pixel = i / e.in, channel = i - pixel * e.in, line = pixel / e.width, b = line / e.height;
    const Index row = line - b * e.height + e.pad, column = pixel - line * e.width + e.pad;
    const Index group = channel / e.in_per_group, c = channel - group * e.in_per_group;
    double total = 0;
    for (Index tap = 0; tap < e.kernel_h * e.kernel_w; ++tap) {
      const Index down = row - tap / e.kernel_w, right = column - tap % e.kernel_w;
      if (down < 0 || right < 0 || down % e.stride != 0 || right % e.stride != 0) continue;
      if (down / e.stride >= e.out_h || right / e.stride >= e.out_w) continue;
      const float* from = g + e.y_at(b, down / e.stride, right / e.stride);
      for (Index o = group * e.out_per_group; o < (group + 1) * e.out_per_group; ++o)
        total += static_cast<double>(from[o]) * w[e.w_at(o, c, tap)];
    }
    dx[i] = static_cast<float>(total);
  }
};

struct DirectConvWeightGrad {
  ConvExtents e;
  const float *x, *g;
  float* dw;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    const Index taps = e.kernel_h * e.kernel_w, plane = i / taps, tap = i - plane * taps;
    const Index o = plane / e.in_per_group, c = plane - o * e.in_per_group;
    const Index channel = o / e.out_per_group * e.in_per_group + c;
    double total = 0;
    for (Index b = 0; b < e.batch; ++b) {
      for (Index out_row = 0; out_row < e.out_h; ++out_row) {
        const Index row = out_row * e.stride - e.pad + tap / e.kernel_w;
        if (row < 0 || row >= e.height) continue;
        for (Index out_column = 0; out_column < e.out_w; ++out_column) {
          const Index column = out_column * e.stride - e.pad + tap % e.kernel_w;
          if (column < 0 || column >= e.width) continue;
          total += static_cast<double>(g[e.y_at(b, out_row, out_column) + o]) * x[e.x_at(b, row, column) + channel];
        }
      }
    }
    dw[i] = static_cast<float>(total);
  }
};

/// [count] products of [m,k] and [k,n], each operand stored transposed or not; one thread a result, sums in double.
struct DirectProduct {
  Index m, n, k;
  bool transpose_a, transpose_b;
  const float *a, *b;
  float* y;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    const Index line = i / n, column = i - line * n, matrix = line / m, row = line - matrix * m;
    const float *left = a + matrix * m * k, *right = b + matrix * k * n;
    double total = 0;
    for (Index t = 0; t < k; ++t)
      total += static_cast<double>(left[transpose_a ? t * m + row : row * k + t]) *
               right[transpose_b ? column * k + t : t * n + column];
    y[i] = static_cast<float>(total);
  }
};

/// Conv2d, Conv2dInputGrad, Conv2dWeightGrad by our own functors.
template <class Launcher>
std::unique_ptr<Kernel> lower_direct_conv(const KernelRequest& request, const Launcher& launcher) {
  const ConvExtents e(conv_shape_of(request));
  const std::int64_t n = request.outputs[0].shape.elements();
  const std::size_t plain = request.inputs.size() > 2 ? 2 : 1;
  if (std::holds_alternative<Conv2d>(request.op))
    return make_kernel([=](const Operands& bound) {
      launcher.for_each(n, DirectConv{e, bound.in(0), bound.in(plain), bound.out(0)});
    });
  if (std::holds_alternative<Conv2dInputGrad>(request.op))
    return make_kernel([=](const Operands& bound) {
      launcher.for_each(n, DirectConvInputGrad{e, bound.in(0), bound.in(plain), bound.out(0)});
    });
  return make_kernel([=](const Operands& bound) {
    launcher.for_each(n, DirectConvWeightGrad{e, bound.in(0), bound.in(1), bound.out(0)});
  });
}

/// MatMul by our own functor.
template <class Launcher>
std::unique_ptr<Kernel> lower_direct_product(const KernelRequest& request, const Launcher& launcher, const MatMul& op) {
  const Shape &a = request.inputs[0].shape, &y = request.outputs[0].shape;
  const Index m = narrow(y[-2]), n = narrow(y[-1]), k = narrow(op.transpose_a ? a[-2] : a[-1]);
  return make_kernel([=, count = y.elements()](const Operands& bound) {
    launcher.for_each(count,
                      DirectProduct{m, n, k, op.transpose_a, op.transpose_b, bound.in(0), bound.in(1), bound.out(0)});
  });
}

}  // namespace deq::cuda
