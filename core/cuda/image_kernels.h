#pragma once

#include "core/cuda/resize_kernels.h"
#include "core/cuda/upsample_sum.h"

// Pooling and the lowering of all image ops. Images are f32 [B,H,W,C]; neighbouring threads take neighbouring channels.

namespace deq::cuda {

/// Windows over [B,h,w,C], one a pixel of [B,out_h,out_w,C].
struct Windows {
  Index h, w, channels, out_h, out_w, kernel, stride, pad;

  Windows(const Shape& in, const Shape& out, int window, int step, int padding)
      : h(narrow(in[1])),
        w(narrow(in[2])),
        channels(narrow(in[3])),
        out_h(narrow(out[1])),
        out_w(narrow(out[2])),
        kernel(window),
        stride(step),
        pad(padding) {}

  struct Range {
    Index begin, end;
  };
  /// Part of window `i` inside an axis of `extent`.
  DEQ_HOST_DEVICE Range clipped(Index i, Index extent) const {
    const Index begin = i * stride - pad, end = begin + kernel;
    return {begin < 0 ? 0 : begin, end < extent ? end : extent};
  }
  /// Windows of an axis of `count` windows that hold index `at`.
  DEQ_HOST_DEVICE Range holding(Index at, Index count) const {
    const Index first = at + pad - kernel + 1, last = (at + pad) / stride + 1;
    return {first <= 0 ? 0 : (first + stride - 1) / stride, last < count ? last : count};
  }
};

/// A pixel and channel of [B,h,w,C].
struct PixelIndex {
  Index b, row, column, c;
  DEQ_HOST_DEVICE PixelIndex(Index i, Index h, Index w, Index channels) {
    const Index pixel = i / channels, line = pixel / w;
    c = i - pixel * channels;
    column = pixel - line * w;
    b = line / h;
    row = line - b * h;
  }
};

struct AveragePool {
  const float* x;
  float* y;
  Windows windows;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    const PixelIndex at(i, windows.out_h, windows.out_w, windows.channels);
    const Windows::Range rows = windows.clipped(at.row, windows.h), columns = windows.clipped(at.column, windows.w);
    float total = 0;
    for (Index row = rows.begin; row < rows.end; ++row)
      for (Index column = columns.begin; column < columns.end; ++column)
        total += x[((at.b * windows.h + row) * windows.w + column) * windows.channels + at.c];
    y[i] = total * (1.0F / static_cast<float>(windows.kernel * windows.kernel));
  }
};

/// The transpose, as a sum over the windows that hold each pixel.
struct AveragePoolGrad {
  const float* g;
  float* x;
  Windows windows;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    const PixelIndex at(i, windows.h, windows.w, windows.channels);
    const Windows::Range rows = windows.holding(at.row, windows.out_h);
    const Windows::Range columns = windows.holding(at.column, windows.out_w);
    float total = 0;
    for (Index row = rows.begin; row < rows.end; ++row)
      for (Index column = columns.begin; column < columns.end; ++column)
        total += g[((at.b * windows.out_h + row) * windows.out_w + column) * windows.channels + at.c];
    x[i] = total * (1.0F / static_cast<float>(windows.kernel * windows.kernel));
  }
};

/// The first maximum of each window in row-major order; nan wins over every number. Outputs may be null.
struct MaximumPool {
  const float* x;
  float* y;
  std::int32_t* winner;
  Windows windows;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    const PixelIndex at(i, windows.out_h, windows.out_w, windows.channels);
    const Windows::Range rows = windows.clipped(at.row, windows.h), columns = windows.clipped(at.column, windows.w);
    const float* sample = x + at.b * windows.h * windows.w * windows.channels + at.c;
    Index place = rows.begin * windows.w + columns.begin;
    float best = sample[place * windows.channels];
    for (Index row = rows.begin; row < rows.end; ++row) {
      for (Index column = columns.begin; column < columns.end; ++column) {
        const Index candidate = row * windows.w + column;
        const float value = sample[candidate * windows.channels];
        if (best == best && !(value <= best)) best = value, place = candidate;
      }
    }
    if (y != nullptr) y[i] = best;
    if (winner != nullptr) winner[i] = place;
  }
};

struct GatherWinners {
  const float* x;
  const std::int32_t* winner;
  float* y;
  Index channels, in_pixels, out_pixels;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    const Index pixel = i / channels, b = pixel / out_pixels;
    y[i] = x[(b * in_pixels + winner[i]) * channels + i - pixel * channels];
  }
};

/// dx zeroed, then g added at its winners. A winner may be any pixel, so one thread walks all of a sample's channel, in
/// order: the same bits in every run.
struct ScatterWinners {
  const float* g;
  const std::int32_t* winner;
  float* x;
  Index channels, in_pixels, out_pixels;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    const Index b = i / channels, c = i - b * channels;
    float* to = x + b * out_pixels * channels + c;
    for (Index pixel = 0; pixel < out_pixels; ++pixel) to[pixel * channels] = 0;
    for (Index pixel = 0; pixel < in_pixels; ++pixel) {
      const Index from = (b * in_pixels + pixel) * channels + c;
      to[winner[from] * channels] += g[from];
    }
  }
};

template <class Launcher>
std::unique_ptr<Kernel> lower_winners(const KernelRequest& request, const Launcher& launcher) {
  const bool is_gather = std::holds_alternative<WinnerGather>(request.op);
  if (request.inputs[1].dtype != DType::i32) no_kernel(request, "winners must be i32");
  const Shape &in = request.inputs[0].shape, &out = request.outputs[0].shape;
  const Index channels = narrow(in[3]), in_pixels = narrow(in[1] * in[2]), out_pixels = narrow(out[1] * out[2]);
  return make_kernel([=, n = out.elements(), batch = in[0]](const Operands& bound) {
    const auto* winner = bound.in<std::int32_t>(1);
    if (is_gather)
      launcher.for_each(n, GatherWinners{bound.in(0), winner, bound.out(0), channels, in_pixels, out_pixels});
    else
      launcher.for_each(batch * channels,
                        ScatterWinners{bound.in(0), winner, bound.out(0), channels, in_pixels, out_pixels});
  });
}

template <class Launcher>
std::unique_ptr<Kernel> lower_pool(const KernelRequest& request, const Launcher& launcher) {
  const Shape &in = request.inputs[0].shape, &out = request.outputs[0].shape;
  const std::int64_t n = out.elements();
  if (const auto* op = std::get_if<AvgPool>(&request.op)) {
    return make_kernel([=, windows = Windows(in, out, op->kernel, op->stride, op->pad)](const Operands& bound) {
      launcher.for_each(n, AveragePool{bound.in(0), bound.out(0), windows});
    });
  }
  if (const auto* op = std::get_if<AvgPoolGrad>(&request.op)) {
    const Windows windows(out, in, op->pool.kernel, op->pool.stride, op->pool.pad);
    return make_kernel([=](const Operands& bound) {
      launcher.for_each(n, AveragePoolGrad{bound.in(0), bound.out(0), windows});
    });
  }
  const auto* op = std::get_if<MaxPool>(&request.op);
  if (op == nullptr) no_kernel(request, "not an image op");
  if (request.outputs[1].dtype != DType::i32) no_kernel(request, "winners must be i32");
  return make_kernel([=, windows = Windows(in, out, op->kernel, op->stride, op->pad)](const Operands& bound) {
    launcher.for_each(n, MaximumPool{bound.in(0), bound.out(0), bound.out<std::int32_t>(1), windows});
  });
}

/// Resize, ResizeGrad, AvgPool, AvgPoolGrad, MaxPool, WinnerGather, WinnerScatter.
template <class Launcher>
std::unique_ptr<Kernel> lower_image(const KernelRequest& request, const Launcher& launcher) {
  if (request.inputs[0].dtype != DType::f32 || request.outputs[0].dtype != DType::f32)
    no_kernel(request, "images must be f32");
  if (is_idle(request)) return make_idle_kernel();
  if (const auto* op = std::get_if<Resize>(&request.op)) return lower_resize(request, launcher, *op);
  if (const auto* op = std::get_if<ResizeGrad>(&request.op)) return lower_resize_grad(request, launcher, *op);
  if (const auto* op = std::get_if<UpsampleSum>(&request.op)) return lower_upsample_sum(request, launcher, *op);
  if (std::holds_alternative<WinnerGather>(request.op) || std::holds_alternative<WinnerScatter>(request.op))
    return lower_winners(request, launcher);
  return lower_pool(request, launcher);
}

}  // namespace deq::cuda
