#pragma once

#include <cmath>

#include "core/cuda/lowering.h"

// Lookups and the classification loss. Indices are i32 or i64; those outside their range read as zeros.

namespace deq::cuda {

template <class I>
struct GatherRows {
  const float* table;
  const I* index;
  float* y;
  Index rows, width;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    const Index place = i / width;
    const I row = index[place];
    y[i] = row >= 0 && row < rows ? table[static_cast<Index>(row) * width + i - place * width] : 0.0F;
  }
};

/// The transpose: every element of the table looks through all indices in order, so that no two threads write the same
/// element and sums have the same bits in every run. Lookups are few (labels, small tables) and neighbours read the
/// same index.
template <class I>
struct GatherRowsGrad {
  const float* g;
  const I* index;
  float* y;
  Index count, width;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    const Index row = i / width, column = i - row * width;
    float total = 0;
    for (Index place = 0; place < count; ++place)
      if (index[place] == row) total += g[place * width + column];
    y[i] = total;
  }
};

template <class I>
struct OneHotRows {
  const I* index;
  float* y;
  Index classes;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    const Index place = i / classes;
    y[i] = index[place] == i - place * classes ? 1.0F : 0.0F;
  }
};

/// One block a row of logits. Sums of exponentials are kept in double. Outputs may be null.
template <class I>
struct CrossEntropyRow {
  const float* logits;
  const I* labels;
  float *loss, *probability;
  Index classes;

  template <class Block>
  DEQ_HOST_DEVICE void operator()(const Block& block) const {
    const Index row = block.index();
    const float* own = logits + std::int64_t{row} * classes;
    const float highest = block.max([&](int thread) {
      float value = own[thread < classes ? thread : 0];
      for (Index k = thread; k < classes; k += block.threads()) value = own[k] > value ? own[k] : value;
      return value;
    });
    const double total = block.sum([&](int thread) {
      double value = 0;
      for (Index k = thread; k < classes; k += block.threads())
        value += static_cast<double>(std::exp(own[k] - highest));
      return value;
    });
    block.each_thread([&](int thread) {
      if (thread == 0 && loss != nullptr) {
        const I label = labels[row];
        const bool is_counted = label >= 0 && label < classes;
        loss[row] = is_counted ? static_cast<float>(std::log(total) - static_cast<double>(own[label] - highest)) : 0.0F;
      }
      if (probability == nullptr) return;
      const auto scale = static_cast<float>(1 / total);
      for (Index k = thread; k < classes; k += block.threads())
        probability[std::int64_t{row} * classes + k] = std::exp(own[k] - highest) * scale;
    });
  }
};

template <class Use>
std::unique_ptr<Kernel> with_index(const KernelRequest& request, DType dtype, const Use& use) {
  if (dtype == DType::i32) return use(std::int32_t{});
  if (dtype == DType::i64) return use(std::int64_t{});
  no_kernel(request, "indices must be i32 or i64");
}

template <class Launcher>
std::unique_ptr<Kernel> lower_cross_entropy(const KernelRequest& request, const Launcher& launcher) {
  const std::int64_t batch = request.inputs[0].shape[0], classes = request.inputs[0].shape[1];
  constexpr std::int64_t kMostThreadsOfRow = 256;
  const int threads = whole_warps(std::min(classes, kMostThreadsOfRow));
  return with_index(request, request.inputs[1].dtype, [&](auto index) {
    using I = decltype(index);
    return make_kernel([=](const Operands& bound) {
      launcher.for_each_block(
          batch, threads, 0,
          CrossEntropyRow<I>{bound.in(0), bound.in<I>(1), bound.out(0), bound.out(1), narrow(classes)});
    });
  });
}

template <class Launcher>
std::unique_ptr<Kernel> lower_lookup(const KernelRequest& request, const Launcher& launcher) {
  const std::int64_t n = request.outputs[0].shape.elements();
  if (const auto* op = std::get_if<OneHot>(&request.op)) {
    return with_index(request, request.inputs[0].dtype, [&, classes = narrow(op->classes)](auto index) {
      using I = decltype(index);
      return make_kernel([=](const Operands& bound) {
        launcher.for_each(n, OneHotRows<I>{bound.in<I>(0), bound.out(0), classes});
      });
    });
  }
  const bool is_gather = std::holds_alternative<Gather>(request.op);
  if (!is_gather && !std::holds_alternative<GatherGrad>(request.op)) no_kernel(request, "not a lookup or loss op");
  const Shape& table = is_gather ? request.inputs[0].shape : request.outputs[0].shape;
  const Index rows = narrow(table[0]), width = narrow(table[1]), count = narrow(request.inputs[1].shape.elements());
  return with_index(request, request.inputs[1].dtype, [&](auto index) {
    using I = decltype(index);
    return make_kernel([=](const Operands& bound) {
      if (is_gather)
        launcher.for_each(n, GatherRows<I>{bound.in(0), bound.in<I>(1), bound.out(0), rows, width});
      else
        launcher.for_each(n, GatherRowsGrad<I>{bound.in(0), bound.in<I>(1), bound.out(0), count, width});
    });
  });
}

/// Gather, GatherGrad, OneHot, SoftmaxCrossEntropy.
template <class Launcher>
std::unique_ptr<Kernel> lower_loss(const KernelRequest& request, const Launcher& launcher) {
  if (request.outputs[0].dtype != DType::f32) no_kernel(request, "the output must be f32");
  if (is_idle(request)) return make_idle_kernel();
  if (std::holds_alternative<SoftmaxCrossEntropy>(request.op)) return lower_cross_entropy(request, launcher);
  return lower_lookup(request, launcher);
}

}  // namespace deq::cuda
