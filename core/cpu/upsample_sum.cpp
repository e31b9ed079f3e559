#include <algorithm>

#include "core/cpu/bound_kernel.h"
#include "core/cpu/image.h"
#include "core/cpu/parallel.h"

// The sum of enlarged images [B,H,W,C], row by row: a row of the result stays in the nearest cache while everything is
// added to it.

namespace deq::cpu {

namespace {

/// An image [B,height,width,C] and how often each of its pixels appears in a row and in a column of the result.
struct Addend {
  std::int64_t height, width, down, across;
};

struct Extents {
  std::int64_t samples, height, width, channels;
  std::vector<Addend> addends;
  bool post_relu;

  Extents(const KernelRequest& request, bool has_relu) : post_relu(has_relu) {
    const Shape& y = request.outputs[0].shape;
    samples = y[0], height = y[1], width = y[2], channels = y[3];
    for (const TensorType& x : request.inputs)
      addends.push_back({x.shape[1], x.shape[2], height / x.shape[1], width / x.shape[2]});
  }
  [[nodiscard]] std::int64_t row_size() const { return width * channels; }
  [[nodiscard]] std::int64_t elements() const { return samples * height * row_size(); }
};

/// y = x or y + x; for the first addend, which may be y itself, and the others.
void add_to(float* y, const float* x, std::int64_t n, bool is_first) {
  if (is_first) {
    if (x != y) std::copy_n(x, n, y);
    return;
  }
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) y[i] += x[i];
}

void sum_row(const Extents& e, const Operands& operands, std::int64_t sample, std::int64_t row, float* y) {
  for (std::size_t k = 0; k < e.addends.size(); ++k) {
    const Addend& addend = e.addends[k];
    const float* x = operands.in(k) + (sample * addend.height + row / addend.down) * addend.width * e.channels;
    if (addend.across == 1) {
      add_to(y, x, e.row_size(), k == 0);
      continue;
    }
    for (std::int64_t column = 0; column < e.width; ++column)
      add_to(y + column * e.channels, x + column / addend.across * e.channels, e.channels, k == 0);
  }
  if (!e.post_relu) return;
#pragma omp simd
  for (std::int64_t i = 0; i < e.row_size(); ++i) y[i] = y[i] < 0.0F ? 0.0F : y[i];
}

}  // namespace

std::unique_ptr<Kernel> lower_upsample_sum(const KernelRequest& request, const UpsampleSum& op) {
  const Extents e(request, op.post_relu);
  const auto run_some = [e](const Operands& operands, std::int64_t first, std::int64_t last, std::byte*) {
    for (std::int64_t sample = first; sample < last; ++sample)
      for (std::int64_t row = 0; row < e.height; ++row)
        sum_row(e, operands, sample, row, operands.out(0) + (sample * e.height + row) * e.row_size());
  };
  const auto run_all = [e, run_some](const Operands& operands) {
    parallel_for(e.samples, e.elements(), [&](std::int64_t i) { run_some(operands, i, i + 1, nullptr); });
  };
  return make_sample_kernel(run_all, 0, SampleRun{e.samples, run_some});
}

}  // namespace deq::cpu
