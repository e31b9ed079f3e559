#include <algorithm>
#include <cmath>
#include <vector>

#include "core/reference/kernel.h"

namespace deq::reference {
namespace {

/// Two sources of one resized coordinate: (1 - weight) * x[first] + weight * x[second].
struct Taps {
  std::int64_t first = 0, second = 0;
  double weight = 0;
};

Taps taps_of(ResizeMode mode, bool align_corners, std::int64_t target, std::int64_t from, std::int64_t to) {
  if (mode == ResizeMode::nearest) return {target * from / to, target * from / to, 0.0};
  double position = 0;
  if (!align_corners) {
    const double scale = static_cast<double>(from) / static_cast<double>(to);
    position = std::max(0.0, (static_cast<double>(target) + 0.5) * scale - 0.5);
  } else if (to > 1) {
    position = static_cast<double>(target * (from - 1)) / static_cast<double>(to - 1);
  }
  const std::int64_t first = std::min(static_cast<std::int64_t>(position), from - 1);
  return {first, std::min(first + 1, from - 1), position - static_cast<double>(first)};
}

/// A resize between x [batch,h,w,channels] and y [batch,oh,ow,channels].
struct ResizeExtents {
  Shape x, y;
  ResizeMode mode;
  bool align_corners;
};

/// Calls use(x index, y index, weight) for every product y += weight * x of the resize.
template <class Use>
void for_each_weight(const ResizeExtents& e, Use use) {
  const std::int64_t channels = e.x[3];
  const auto pixel = [&](const Shape& shape, std::int64_t b, std::int64_t row, std::int64_t column) {
    return ((b * shape[1] + row) * shape[2] + column) * channels;
  };
  for (std::int64_t b = 0; b < e.y[0]; ++b) {
    for (std::int64_t i = 0; i < e.y[1]; ++i) {
      const Taps v = taps_of(e.mode, e.align_corners, i, e.x[1], e.y[1]);
      for (std::int64_t j = 0; j < e.y[2]; ++j) {
        const Taps h = taps_of(e.mode, e.align_corners, j, e.x[2], e.y[2]);
        for (std::int64_t c = 0; c < channels; ++c) {
          const std::int64_t y = pixel(e.y, b, i, j) + c;
          use(pixel(e.x, b, v.first, h.first) + c, y, (1 - v.weight) * (1 - h.weight));
          if (e.mode == ResizeMode::nearest) continue;
          use(pixel(e.x, b, v.first, h.second) + c, y, (1 - v.weight) * h.weight);
          use(pixel(e.x, b, v.second, h.first) + c, y, v.weight * (1 - h.weight));
          use(pixel(e.x, b, v.second, h.second) + c, y, v.weight * h.weight);
        }
      }
    }
  }
}

/// Calls use(x index, flat h * W + w, y index) for every element x [B,H,W,C] under the window of every y, in row-major
/// order of the window. Padding is left out.
template <class Use>
void for_each_in_windows(const Shape& x, const Shape& y, int kernel, int stride, int pad, Use use) {
  const std::int64_t channels = x[3];
  for (std::int64_t i = 0; i < y.elements(); ++i) {
    const std::int64_t c = i % channels, column = i / channels % y[2], row = i / channels / y[2] % y[1];
    const std::int64_t b = i / channels / y[2] / y[1];
    for (std::int64_t tap = 0; tap < std::int64_t{kernel} * kernel; ++tap) {
      const std::int64_t h = row * stride - pad + tap / kernel, w = column * stride - pad + tap % kernel;
      if (h < 0 || h >= x[1] || w < 0 || w >= x[2]) continue;
      use(((b * x[1] + h) * x[2] + w) * channels + c, h * x[2] + w, i);
    }
  }
}

/// Calls use(x index, y index) for every winner.
template <class Use>
void for_each_winner(const Shape& x, const Shape& y, const std::int32_t* winner, Use use) {
  const std::int64_t channels = x[3], pixels = x[1] * x[2], y_sample = y[1] * y[2] * channels;
  for (std::int64_t i = 0; i < y.elements(); ++i) {
    use((i / y_sample * pixels + winner[i]) * channels + i % channels, i);
  }
}

}  // namespace

Body lower(const Resize& op, const KernelRequest& request) {
  const ResizeExtents e{request.inputs[0].shape, request.outputs[0].shape, op.mode, op.align_corners};
  return [e](const Operands& at) {
    std::fill_n(at.out(), e.y.elements(), 0.0);
    for_each_weight(e, [&](auto x, auto y, double weight) { at.out()[y] += weight * at.in(0)[x]; });
  };
}

Body lower(const ResizeGrad& op, const KernelRequest& request) {
  const ResizeExtents e{request.outputs[0].shape, request.inputs[0].shape, op.mode, op.align_corners};
  return [e](const Operands& at) {
    std::fill_n(at.out(), e.x.elements(), 0.0);
    for_each_weight(e, [&](auto x, auto y, double weight) { at.out()[x] += weight * at.in(0)[y]; });
  };
}

Body lower(const UpsampleSum& op, const KernelRequest& request) {
  const Shape y = request.outputs[0].shape;
  const std::vector<TensorType> inputs(request.inputs.begin(), request.inputs.end());
  return [=](const Operands& at) {
    std::vector<double> total(static_cast<std::size_t>(y.elements()), 0.0);  // an operand may lie where y does
    for (std::size_t i = 0; i < inputs.size(); ++i)
      for_each_weight({inputs[i].shape, y, ResizeMode::nearest, false}, [&](auto from, auto to, double weight) {
        total[static_cast<std::size_t>(to)] += weight * at.in(i)[from];
      });
    std::ranges::transform(total, at.out(), [&](double x) { return op.post_relu && x < 0 ? 0.0 : x; });
  };
}

Body lower(const AvgPool& op, const KernelRequest& request) {
  const Shape x = request.inputs[0].shape, y = request.outputs[0].shape;
  return [=](const Operands& at) {
    std::fill_n(at.out(), y.elements(), 0.0);
    for_each_in_windows(x, y, op.kernel, op.stride, op.pad,
                        [&](auto xi, auto, auto yi) { at.out()[yi] += at.in(0)[xi] / (op.kernel * op.kernel); });
  };
}

Body lower(const AvgPoolGrad& op, const KernelRequest& request) {
  const Shape x = request.outputs[0].shape, y = request.inputs[0].shape;
  return [=, pool = op.pool](const Operands& at) {
    std::fill_n(at.out(), x.elements(), 0.0);
    for_each_in_windows(x, y, pool.kernel, pool.stride, pool.pad,
                        [&](auto xi, auto, auto yi) { at.out()[xi] += at.in(0)[yi] / (pool.kernel * pool.kernel); });
  };
}

Body lower(const MaxPool& op, const KernelRequest& request) {
  const Shape x = request.inputs[0].shape, y = request.outputs[0].shape;
  return [=](const Operands& at) {
    std::fill_n(at.index_out(1), y.elements(), -1);
    for_each_in_windows(x, y, op.kernel, op.stride, op.pad, [&](auto xi, auto position, auto yi) {
      const double value = at.in(0)[xi];
      double& best = at.out()[yi];
      // nan beats every number and stays.
      const bool is_better = at.index_out(1)[yi] < 0 || (!std::isnan(best) && !(value <= best));
      if (!is_better) return;
      best = value;
      at.index_out(1)[yi] = static_cast<std::int32_t>(position);
    });
  };
}

Body lower(const WinnerGather&, const KernelRequest& request) {
  const Shape x = request.inputs[0].shape, y = request.outputs[0].shape;
  return [=](const Operands& at) {
    for_each_winner(x, y, at.index(1), [&](auto xi, auto yi) { at.out()[yi] = at.in(0)[xi]; });
  };
}

Body lower(const WinnerScatter&, const KernelRequest& request) {
  const Shape x = request.outputs[0].shape, y = request.inputs[0].shape;
  return [=](const Operands& at) {
    std::fill_n(at.out(), x.elements(), 0.0);
    for_each_winner(x, y, at.index(1), [&](auto xi, auto yi) { at.out()[xi] += at.in(0)[yi]; });
  };
}

}  // namespace deq::reference
