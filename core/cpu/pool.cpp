#include <algorithm>
#include <limits>

#include "core/cpu/bound_kernel.h"
#include "core/cpu/image.h"
#include "core/cpu/kernels.h"
#include "core/cpu/parallel.h"

namespace deq::cpu {

namespace {

/// Half-open range of source indices.
struct Range {
  std::int64_t begin = 0, end = 0;
};

/// Pooling from [batch,h,w,channels] to [batch,out_h,out_w,channels].
struct Windows {
  std::int64_t batch, h, w, channels, out_h, out_w;
  int kernel, stride, pad;

  Windows(const Shape& in, const Shape& out, int window, int step, int padding)
      : batch(in[0]),
        h(in[1]),
        w(in[2]),
        channels(in[3]),
        out_h(out[1]),
        out_w(out[2]),
        kernel(window),
        stride(step),
        pad(padding) {}
  /// Part of window `i` inside an axis of `extent`.
  [[nodiscard]] Range clipped(std::int64_t i, std::int64_t extent) const {
    const std::int64_t begin = i * stride - pad;
    return {std::max<std::int64_t>(begin, 0), std::min(begin + kernel, extent)};
  }
  [[nodiscard]] std::int64_t work() const { return batch * out_h * out_w * channels * kernel; }
};

/// Mean of one row of windows; padding counts as zeros.
void average_row(const Windows& windows, std::int64_t i, const float* x, float* y) {
  const float share = 1.0F / static_cast<float>(windows.kernel * windows.kernel);
  const std::int64_t channels = windows.channels;
  const Range rows = windows.clipped(i, windows.h);
  for (std::int64_t j = 0; j < windows.out_w; ++j, y += channels) {
    const Range columns = windows.clipped(j, windows.w);
    std::fill_n(y, channels, 0.0F);
    for (std::int64_t row = rows.begin; row < rows.end; ++row) {
      for (std::int64_t column = columns.begin; column < columns.end; ++column) {
        const float* source = x + (row * windows.w + column) * channels;
#pragma omp simd
        for (std::int64_t c = 0; c < channels; ++c) y[c] += source[c];
      }
    }
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) y[c] *= share;
  }
}

/// Transpose of the mean for one sample.
void spread_average(const Windows& windows, const float* g, float* x) {
  const float share = 1.0F / static_cast<float>(windows.kernel * windows.kernel);
  const std::int64_t channels = windows.channels;
  std::fill_n(x, windows.h * windows.w * channels, 0.0F);
  for (std::int64_t i = 0; i < windows.out_h; ++i) {
    const Range rows = windows.clipped(i, windows.h);
    for (std::int64_t j = 0; j < windows.out_w; ++j, g += channels) {
      const Range columns = windows.clipped(j, windows.w);
      for (std::int64_t row = rows.begin; row < rows.end; ++row) {
        for (std::int64_t column = columns.begin; column < columns.end; ++column) {
          float* to = x + (row * windows.w + column) * channels;
#pragma omp simd
          for (std::int64_t c = 0; c < channels; ++c) to[c] += share * g[c];
        }
      }
    }
  }
}

/// Channels compared at a time; best values and their places stay in registers or the first cache.
constexpr std::int64_t kLanes = 64;

/// Maximum over one window for channels [from, from + count); the first in row-major order wins ties, nan wins all.
void maximum(const Windows& windows, const Range& rows, const Range& columns, const float* x, std::int64_t from,
             std::int64_t count, float* best, std::int32_t* place) {
  std::fill_n(best, count, -std::numeric_limits<float>::infinity());
  std::fill_n(place, count, static_cast<std::int32_t>(rows.begin * windows.w + columns.begin));
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    for (std::int64_t column = columns.begin; column < columns.end; ++column) {
      const auto at = static_cast<std::int32_t>(row * windows.w + column);
      const float* source = x + at * windows.channels + from;
#pragma omp simd
      for (std::int64_t c = 0; c < count; ++c) {
        const float value = source[c];
        const bool wins = value > best[c] || value != value;
        best[c] = wins ? value : best[c];
        place[c] = wins ? at : place[c];
      }
    }
  }
}

/// One row of windows; y and winner may each be null.
void maximum_row(const Windows& windows, std::int64_t i, const float* x, float* y, std::int32_t* winner) {
  const std::int64_t channels = windows.channels;
  const Range rows = windows.clipped(i, windows.h);
  float best[kLanes];
  std::int32_t place[kLanes];
  for (std::int64_t j = 0; j < windows.out_w; ++j) {
    const Range columns = windows.clipped(j, windows.w);
    for (std::int64_t from = 0; from < channels; from += kLanes) {
      const std::int64_t count = std::min(kLanes, channels - from), to = j * channels + from;
      maximum(windows, rows, columns, x, from, count, best, place);
      if (y != nullptr) std::copy_n(best, count, y + to);
      if (winner != nullptr) std::copy_n(place, count, winner + to);
    }
  }
}

/// body(x of the sample, first element of the output row, row) over all rows of windows.
template <class Body>
void for_each_window_row(const Windows& windows, const float* x, const Body& body) {
  parallel_for(windows.batch * windows.out_h, windows.work(), [&](std::int64_t row) {
    const std::int64_t sample = row / windows.out_h;
    body(x + sample * windows.h * windows.w * windows.channels, row * windows.out_w * windows.channels,
         row % windows.out_h);
  });
}

}  // namespace

std::unique_ptr<Kernel> lower_avg_pool(const KernelRequest& request, const AvgPool& op) {
  const Windows windows(request.inputs[0].shape, request.outputs[0].shape, op.kernel, op.stride, op.pad);
  return make_kernel([windows](const Operands& operands) {
    float* y = operands.out(0);
    for_each_window_row(windows, operands.in(0), [&](const float* x, std::int64_t at, std::int64_t row) {
      average_row(windows, row, x, y + at);
    });
  });
}

std::unique_ptr<Kernel> lower_avg_pool_grad(const KernelRequest& request, const AvgPoolGrad& op) {
  const Windows windows(request.outputs[0].shape, request.inputs[0].shape, op.pool.kernel, op.pool.stride, op.pool.pad);
  return make_kernel([windows](const Operands& operands) {
    const float* g = operands.in(0);
    float* x = operands.out(0);
    parallel_for(windows.batch, windows.work(), [&](std::int64_t sample) {
      spread_average(windows, g + sample * windows.out_h * windows.out_w * windows.channels,
                     x + sample * windows.h * windows.w * windows.channels);
    });
  });
}

std::unique_ptr<Kernel> lower_max_pool(const KernelRequest& request, const MaxPool& op) {
  if (request.outputs[1].dtype != DType::i32) no_kernel(request, "winners must be i32");
  const Windows windows(request.inputs[0].shape, request.outputs[0].shape, op.kernel, op.stride, op.pad);
  return make_kernel([windows](const Operands& operands) {
    float* y = operands.out(0);
    auto* winner = operands.out<std::int32_t>(1);
    for_each_window_row(windows, operands.in(0), [&](const float* x, std::int64_t at, std::int64_t row) {
      maximum_row(windows, row, x, y == nullptr ? nullptr : y + at, winner == nullptr ? nullptr : winner + at);
    });
  });
}

std::unique_ptr<Kernel> lower_winner_gather(const KernelRequest& request) {
  if (request.inputs[1].dtype != DType::i32) no_kernel(request, "winners must be i32");
  const Shape &in = request.inputs[0].shape, &out = request.outputs[0].shape;
  const std::int64_t batch = in[0], channels = in[3], in_size = in[1] * in[2] * channels;
  const std::int64_t out_size = out[1] * out[2] * channels;
  return make_kernel([=](const Operands& operands) {
    parallel_for(batch, batch * out_size, [&](std::int64_t sample) {
      const float* x = operands.in(0) + sample * in_size;
      const std::int32_t* winner = operands.in<std::int32_t>(1) + sample * out_size;
      float* y = operands.out(0) + sample * out_size;
      for (std::int64_t i = 0; i < out_size; i += channels) {
        for (std::int64_t c = 0; c < channels; ++c) y[i + c] = x[winner[i + c] * channels + c];
      }
    });
  });
}

std::unique_ptr<Kernel> lower_winner_scatter(const KernelRequest& request) {
  if (request.inputs[1].dtype != DType::i32) no_kernel(request, "winners must be i32");
  const Shape &in = request.inputs[0].shape, &out = request.outputs[0].shape;
  const std::int64_t batch = in[0], channels = in[3], in_size = in[1] * in[2] * channels;
  const std::int64_t out_size = out[1] * out[2] * channels;
  return make_kernel([=](const Operands& operands) {
    parallel_for(batch, batch * (in_size + out_size), [&](std::int64_t sample) {
      const float* g = operands.in(0) + sample * in_size;
      const std::int32_t* winner = operands.in<std::int32_t>(1) + sample * in_size;
      float* x = operands.out(0) + sample * out_size;
      std::fill_n(x, out_size, 0.0F);
      for (std::int64_t i = 0; i < in_size; i += channels) {
        for (std::int64_t c = 0; c < channels; ++c) x[winner[i + c] * channels + c] += g[i + c];
      }
    });
  });
}

}  // namespace deq::cpu
