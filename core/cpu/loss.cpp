#include <algorithm>
#include <cmath>

#include "core/cpu/bound_kernel.h"
#include "core/cpu/float_functions.h"
#include "core/cpu/kernels.h"
#include "core/cpu/parallel.h"

namespace deq::cpu {

namespace {

/// Calls `use` with a value of the index type.
template <class Use>
std::unique_ptr<Kernel> with_index_type(const KernelRequest& request, DType index, const Use& use) {
  if (index == DType::i32) return use(std::int32_t{});
  if (index == DType::i64) return use(std::int64_t{});
  no_kernel(request, "indices must be i32 or i64");
}

/// Rows outside the table read as zeros: a kernel cannot throw, and a wild read would be worse.
std::unique_ptr<Kernel> lower_gather(const KernelRequest& request) {
  const std::int64_t rows = request.inputs[0].shape[0], width = request.inputs[0].shape[1];
  const std::int64_t count = request.inputs[1].shape.elements();
  return with_index_type(request, request.inputs[1].dtype, [=](auto index_type) {
    return make_kernel([=](const Operands& operands) {
      const float* table = operands.in(0);
      const auto* index = operands.in<decltype(index_type)>(1);
      float* y = operands.out(0);
      parallel_blocks(count, 64, count * width, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const std::int64_t row = index[i];
          if (row >= 0 && row < rows) {
            std::copy_n(table + row * width, width, y + i * width);
          } else {
            std::fill_n(y + i * width, width, 0.0F);
          }
        }
      });
    });
  });
}

/// Each task owns some columns of the table and adds all rows of g in order, so the sums do not depend on threads.
std::unique_ptr<Kernel> lower_gather_grad(const KernelRequest& request) {
  const std::int64_t rows = request.outputs[0].shape[0], width = request.outputs[0].shape[1];
  const std::int64_t count = request.inputs[1].shape.elements();
  return with_index_type(request, request.inputs[1].dtype, [=](auto index_type) {
    return make_kernel([=](const Operands& operands) {
      const float* g = operands.in(0);
      const auto* index = operands.in<decltype(index_type)>(1);
      float* y = operands.out(0);
      constexpr std::int64_t kColumns = 64;
      parallel_blocks(width, kColumns, (count + rows) * width, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = 0; row < rows; ++row) std::fill(y + row * width + begin, y + row * width + end, 0.0F);
        for (std::int64_t i = 0; i < count; ++i) {
          const std::int64_t row = index[i];
          if (row < 0 || row >= rows) continue;
          float* to = y + row * width;
          const float* from = g + i * width;
#pragma omp simd
          for (std::int64_t c = begin; c < end; ++c) to[c] += from[c];
        }
      });
    });
  });
}

std::unique_ptr<Kernel> lower_one_hot(const KernelRequest& request, const OneHot& op) {
  const std::int64_t count = request.inputs[0].shape.elements(), classes = op.classes;
  return with_index_type(request, request.inputs[0].dtype, [=](auto index_type) {
    return make_kernel([=](const Operands& operands) {
      const auto* index = operands.in<decltype(index_type)>(0);
      float* y = operands.out(0);
      parallel_blocks(count, 64, count * classes, [&](std::int64_t begin, std::int64_t end) {
        std::fill(y + begin * classes, y + end * classes, 0.0F);
        for (std::int64_t i = begin; i < end; ++i) {
          if (index[i] >= 0 && index[i] < classes) y[i * classes + index[i]] = 1.0F;
        }
      });
    });
  });
}

/// Sum of e^(logits - highest) in double, each also into `powers` when it is not null.
double sum_of_powers(const float* logits, std::int64_t classes, float highest, float* powers) {
  double total = 0;
  if (powers == nullptr) {
#pragma omp simd reduction(+ : total)
    for (std::int64_t k = 0; k < classes; ++k) total += static_cast<double>(exponential(logits[k] - highest));
    return total;
  }
#pragma omp simd reduction(+ : total)
  for (std::int64_t k = 0; k < classes; ++k) {
    powers[k] = exponential(logits[k] - highest);
    total += static_cast<double>(powers[k]);
  }
  return total;
}

/// Loss and, when `probability` is not null, softmax of one row of logits. The sum is kept in double.
float cross_entropy_row(const float* logits, std::int64_t classes, std::int64_t label, float* probability) {
  float highest = logits[0];
#pragma omp simd reduction(max : highest)
  for (std::int64_t k = 0; k < classes; ++k) highest = logits[k] > highest ? logits[k] : highest;
  const bool is_counted = label >= 0 && label < classes;
  const double score = is_counted ? static_cast<double>(logits[label] - highest) : 0.0;  // may be overwritten below
  const double total = sum_of_powers(logits, classes, highest, probability);
  if (probability != nullptr) {
    const auto scale = static_cast<float>(1 / total);
#pragma omp simd
    for (std::int64_t k = 0; k < classes; ++k) probability[k] *= scale;
  }
  return is_counted ? static_cast<float>(std::log(total) - score) : 0.0F;
}

std::unique_ptr<Kernel> lower_cross_entropy(const KernelRequest& request) {
  const std::int64_t batch = request.inputs[0].shape[0], classes = request.inputs[0].shape[1];
  return with_index_type(request, request.inputs[1].dtype, [=](auto index_type) {
    return make_kernel([=](const Operands& operands) {
      const float* logits = operands.in(0);
      const auto* labels = operands.in<decltype(index_type)>(1);
      float *loss = operands.out(0), *probability = operands.out(1);
      // An exponential costs tens of additions, hence the 16.
      parallel_blocks(batch, 16, batch * classes * 16, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t b = begin; b < end; ++b) {
          float* row = probability == nullptr ? nullptr : probability + b * classes;
          const float value = cross_entropy_row(logits + b * classes, classes, labels[b], row);
          if (loss != nullptr) loss[b] = value;
        }
      });
    });
  });
}

}  // namespace

std::unique_ptr<Kernel> lower_loss(const KernelRequest& request) {
  if (request.outputs[0].dtype != DType::f32) no_kernel(request, "the output must be f32");
  if (std::holds_alternative<SoftmaxCrossEntropy>(request.op)) return lower_cross_entropy(request);
  if (!request.output_used[0]) return make_idle_kernel();
  if (std::holds_alternative<Gather>(request.op)) return lower_gather(request);
  if (std::holds_alternative<GatherGrad>(request.op)) return lower_gather_grad(request);
  if (const auto* op = std::get_if<OneHot>(&request.op)) return lower_one_hot(request, *op);
  no_kernel(request, "not a lookup or loss op");
}

}  // namespace deq::cpu
