#include <algorithm>
#include <cmath>
#include <vector>

#include "core/cpu/bound_kernel.h"
#include "core/cpu/image.h"
#include "core/cpu/parallel.h"

namespace deq::cpu {

namespace {

/// Where one output index reads along one axis: (1 - weight) low + weight high.
struct Tap {
  std::int64_t low = 0, high = 0;
  float weight = 0;
};

/// Taps of an axis resized from `from` to `to`. Nearest: floor(i * from / to), weight 0.
std::vector<Tap> taps_of(ResizeMode mode, bool align_corners, std::int64_t from, std::int64_t to) {
  std::vector<Tap> taps(static_cast<std::size_t>(to));
  for (std::int64_t i = 0; i < to; ++i) {
    Tap& tap = taps[static_cast<std::size_t>(i)];
    switch (mode) {
      case ResizeMode::nearest: tap.low = tap.high = i * from / to; break;
      case ResizeMode::bilinear: {
        const auto last = static_cast<double>(from - 1), at = static_cast<double>(i);
        const double ratio = static_cast<double>(from) / static_cast<double>(to);
        const double corner = to > 1 ? at * last / static_cast<double>(to - 1) : 0.0;
        const double source = align_corners ? corner : std::clamp((at + 0.5) * ratio - 0.5, 0.0, last);
        tap.low = static_cast<std::int64_t>(source);
        tap.high = std::min(tap.low + 1, from - 1);
        tap.weight = static_cast<float>(source - static_cast<double>(tap.low));
        break;
      }
    }
  }
  return taps;
}

/// Both axes of a resize of [batch,from_h,from_w,channels]; rows and columns have an entry per index of the large or
/// small result of Resize, also when used backwards.
struct Sampling {
  std::vector<Tap> rows, columns;
  std::int64_t batch, from_h, from_w, channels;

  Sampling(ResizeMode mode, bool align_corners, const Shape& from, const Shape& to)
      : rows(taps_of(mode, align_corners, from[1], to[1])),
        columns(taps_of(mode, align_corners, from[2], to[2])),
        batch(from[0]),
        from_h(from[1]),
        from_w(from[2]),
        channels(from[3]) {}
  [[nodiscard]] std::int64_t to_h() const { return static_cast<std::int64_t>(rows.size()); }
  [[nodiscard]] std::int64_t to_w() const { return static_cast<std::int64_t>(columns.size()); }
  [[nodiscard]] std::int64_t from_size() const { return from_h * from_w * channels; }
  [[nodiscard]] std::int64_t to_size() const { return to_h() * to_w() * channels; }
  [[nodiscard]] std::int64_t to_elements() const { return batch * to_h() * to_w() * channels; }
};

/// All output rows of one sample; a row that reads the same source row as the one above is copied from it.
void nearest_sample(const Sampling& sampling, const float* x, float* y) {
  const std::int64_t channels = sampling.channels, row_size = sampling.to_w() * channels;
  for (std::int64_t i = 0; i < sampling.to_h(); ++i) {
    const std::int64_t from = sampling.rows[static_cast<std::size_t>(i)].low;
    float* to = y + i * row_size;
    if (i > 0 && sampling.rows[static_cast<std::size_t>(i - 1)].low == from) {
      std::copy_n(to - row_size, row_size, to);
      continue;
    }
    const float* source = x + from * sampling.from_w * channels;
    for (const Tap& tap : sampling.columns) {
      std::copy_n(source + tap.low * channels, channels, to);
      to += channels;
    }
  }
}

void bilinear_sample(const Sampling& sampling, const float* x, float* y) {
  const std::int64_t channels = sampling.channels, row_size = sampling.from_w * channels;
  for (const Tap& row : sampling.rows) {
    const float *upper = x + row.low * row_size, *lower = x + row.high * row_size;
    for (const Tap& column : sampling.columns) {
      const std::int64_t left = column.low * channels, right = column.high * channels;
#pragma omp simd
      for (std::int64_t c = 0; c < channels; ++c) {
        const float top = upper[left + c] + column.weight * (upper[right + c] - upper[left + c]);
        const float bottom = lower[left + c] + column.weight * (lower[right + c] - lower[left + c]);
        y[c] = top + row.weight * (bottom - top);
      }
      y += channels;
    }
  }
}

/// Adds factor * g to x along the channels.
void add_scaled(float* x, const float* g, float factor, std::int64_t channels) {
#pragma omp simd
  for (std::int64_t c = 0; c < channels; ++c) x[c] += factor * g[c];
}

/// Transpose of either sampling for one sample: every output adds to what it read.
void scatter_sample(const Sampling& sampling, bool is_nearest, const float* g, float* x) {
  const std::int64_t channels = sampling.channels, row_size = sampling.from_w * channels;
  std::fill_n(x, sampling.from_h * row_size, 0.0F);
  for (const Tap& row : sampling.rows) {
    float *upper = x + row.low * row_size, *lower = x + row.high * row_size;
    for (const Tap& column : sampling.columns) {
      const std::int64_t left = column.low * channels, right = column.high * channels;
      if (is_nearest) {
        add_scaled(upper + left, g, 1.0F, channels);
      } else {
        add_scaled(upper + left, g, (1 - row.weight) * (1 - column.weight), channels);
        add_scaled(upper + right, g, (1 - row.weight) * column.weight, channels);
        add_scaled(lower + left, g, row.weight * (1 - column.weight), channels);
        add_scaled(lower + right, g, row.weight * column.weight, channels);
      }
      g += channels;
    }
  }
}

/// run_sample(from, to) by sample; sizes in floats.
template <class RunSample>
std::unique_ptr<Kernel> make_sampled(std::int64_t samples, std::int64_t elements, std::int64_t from_size,
                                     std::int64_t to_size, RunSample run_sample) {
  const auto run_some = [=](const Operands& operands, std::int64_t first, std::int64_t last, std::byte*) {
    for (std::int64_t i = first; i < last; ++i)
      run_sample(operands.in(0) + i * from_size, operands.out(0) + i * to_size);
  };
  const auto run_all = [=](const Operands& operands) {
    parallel_for(samples, elements, [&](std::int64_t i) { run_some(operands, i, i + 1, nullptr); });
  };
  return make_sample_kernel(run_all, 0, SampleRun{samples, run_some});
}

}  // namespace

std::unique_ptr<Kernel> lower_resize(const KernelRequest& request, const Resize& op) {
  const Sampling sampling(op.mode, op.align_corners, request.inputs[0].shape, request.outputs[0].shape);
  const auto run_sample = op.mode == ResizeMode::nearest ? &nearest_sample : &bilinear_sample;
  return make_sampled(sampling.batch, sampling.to_elements(), sampling.from_size(), sampling.to_size(),
                      [sampling, run_sample](const float* x, float* y) { run_sample(sampling, x, y); });
}

std::unique_ptr<Kernel> lower_resize_grad(const KernelRequest& request, const ResizeGrad& op) {
  // "to" is what Resize wrote: the input here.
  const Sampling sampling(op.mode, op.align_corners, request.outputs[0].shape, request.inputs[0].shape);
  const bool is_nearest = op.mode == ResizeMode::nearest;
  return make_sampled(sampling.batch, sampling.to_elements(), sampling.to_size(), sampling.from_size(),
                      [sampling, is_nearest](const float* g, float* x) { scatter_sample(sampling, is_nearest, g, x); });
}

}  // namespace deq::cpu
