#include "core/cpu/sum.h"

#include <algorithm>
#include <vector>

#include "core/cpu/bound_kernel.h"
#include "core/cpu/kernels.h"
#include "core/cpu/parallel.h"

namespace deq::cpu {

namespace {

/// Neighbouring axes that are all summed or all kept, as one.
struct MergedAxis {
  std::int64_t extent = 1;
  bool is_summed = false;
};

std::vector<MergedAxis> merge(const Shape& shape, const Sum& op) {
  std::vector<MergedAxis> merged;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] == 1) continue;
    const bool is_summed = std::find(op.axes.begin(), op.axes.end(), axis) != op.axes.end();
    if (!merged.empty() && merged.back().is_summed == is_summed) {
      merged.back().extent *= shape[axis];
    } else {
      merged.push_back({shape[axis], is_summed});
    }
  }
  return merged;
}

/// [outer, summed, inner] -> [outer, inner]. Each run of rows leaves float partial sums in the workspace.
struct Middle {
  std::int64_t outer = 1, summed = 1, inner = 1, rows_per_run = 1, runs = 1;

  Middle(std::int64_t outer_extent, std::int64_t summed_extent, std::int64_t inner_extent)
      : outer(outer_extent), summed(summed_extent), inner(inner_extent) {
    // At least 64 rows a run, so that partial sums are few; runs of 4 Ki elements keep a float sum accurate.
    rows_per_run = std::max<std::int64_t>(64, 4096 / inner);
    runs = (summed + rows_per_run - 1) / rows_per_run;
  }
};

/// Sum of contiguous elements, in 16 interleaved float sums joined in double.
float sum_contiguous(const float* x, std::int64_t n) {
  constexpr std::int64_t kLanes = 16;
  float lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
#pragma omp simd
    for (std::int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += x[i + lane];
  }
  double total = 0;
  for (const float lane : lanes) total += static_cast<double>(lane);
  for (; i < n; ++i) total += static_cast<double>(x[i]);
  return static_cast<float>(total);
}

void sum_run(const Middle& middle, std::int64_t task, const float* x, float* partial) {
  const std::int64_t begin = task % middle.runs * middle.rows_per_run;
  const std::int64_t end = std::min(middle.summed, begin + middle.rows_per_run);
  const float* first = x + (task / middle.runs * middle.summed + begin) * middle.inner;
  if (middle.inner == 1) {
    *partial = sum_contiguous(first, end - begin);
    return;
  }
  std::fill_n(partial, middle.inner, 0.0F);
  for (std::int64_t row = begin; row < end; ++row, first += middle.inner) {
#pragma omp simd
    for (std::int64_t c = 0; c < middle.inner; ++c) partial[c] += first[c];
  }
}

std::unique_ptr<Kernel> make_middle_sum(const Middle& middle) {
  // One run needs no joining and writes the result itself.
  const std::int64_t tasks = middle.outer * middle.runs;
  const std::int64_t scratch_bytes = middle.runs == 1 ? 0 : tasks * middle.inner * 4;
  return make_kernel(
      [middle, tasks](const Operands& operands) {
        const float* x = operands.in(0);
        float* y = operands.out(0);
        float* partials = middle.runs == 1 ? y : operands.scratch<float>();
        const std::int64_t elements = middle.outer * middle.summed * middle.inner;
        const std::int64_t task_elements = std::max<std::int64_t>(1, elements / std::max<std::int64_t>(1, tasks));
        const std::int64_t tasks_per_block = std::max<std::int64_t>(1, kSerialElements / 2 / task_elements);
        parallel_blocks(tasks, tasks_per_block, elements, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t task = begin; task < end; ++task) {
            sum_run(middle, task, x, partials + task * middle.inner);
          }
        });
        if (middle.runs == 1) return;
        for (std::int64_t i = 0; i < middle.outer * middle.inner; ++i) {
          const float* first = partials + i / middle.inner * middle.runs * middle.inner + i % middle.inner;
          double total = 0;
          for (std::int64_t run = 0; run < middle.runs; ++run) {
            total += static_cast<double>(first[run * middle.inner]);
          }
          y[i] = static_cast<float>(total);
        }
      },
      static_cast<std::size_t>(scratch_bytes));
}

/// Kept and summed axes that alternate more often: each output walks its elements in order. Rare, so only correct.
struct Scattered {
  struct Axis {
    std::int64_t extent = 1, stride = 1;
  };
  std::vector<Axis> kept, summed;
  std::int64_t outputs = 1, terms = 1;

  explicit Scattered(const std::vector<MergedAxis>& axes) {
    std::int64_t stride = 1;
    for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
      (axis->is_summed ? summed : kept).push_back({axis->extent, stride});
      (axis->is_summed ? terms : outputs) *= axis->extent;
      stride *= axis->extent;
    }
  }
  /// Offset of the `index`th combination of `axes`, innermost axis first.
  static std::int64_t offset(const std::vector<Axis>& axes, std::int64_t index) {
    std::int64_t at = 0;
    for (const Axis& axis : axes) {
      at += index % axis.extent * axis.stride;
      index /= axis.extent;
    }
    return at;
  }
};

}  // namespace

std::unique_ptr<Kernel> lower_sum(const KernelRequest& request, const Sum& op) {
  if (request.inputs[0].dtype != DType::f32) no_kernel(request, "the input must be f32");
  const std::vector<MergedAxis> axes = merge(request.inputs[0].shape, op);
  const auto summed = std::count_if(axes.begin(), axes.end(), [](const MergedAxis& axis) { return axis.is_summed; });
  if (summed <= 1) {
    std::int64_t extents[3] = {1, 1, 1};
    std::size_t place = 0;
    for (const MergedAxis& axis : axes) {
      if (axis.is_summed) place = 1;
      extents[place] = axis.extent;
      if (axis.is_summed) place = 2;
    }
    return make_middle_sum(Middle(extents[0], extents[1], extents[2]));
  }
  return make_kernel([scattered = Scattered(axes)](const Operands& operands) {
    const float* x = operands.in(0);
    float* y = operands.out(0);
    parallel_blocks(scattered.outputs, 64, scattered.outputs * scattered.terms,
                    [&](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t i = begin; i < end; ++i) {
                        const float* first = x + Scattered::offset(scattered.kept, i);
                        double total = 0;
                        for (std::int64_t term = 0; term < scattered.terms; ++term) {
                          total += static_cast<double>(first[Scattered::offset(scattered.summed, term)]);
                        }
                        y[i] = static_cast<float>(total);
                      }
                    });
  });
}

}  // namespace deq::cpu
