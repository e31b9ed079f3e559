#pragma once

#include <cmath>

#include "core/cuda/lowering.h"

namespace deq::cuda {

/// WeightNorm, a block a row. Outputs that nobody reads are null.
struct WeightNormRow {
  const float *v, *g;
  float *w, *ratios, *norms;
  Index columns;

  template <class Block>
  DEQ_HOST_DEVICE void operator()(const Block& block) const {
    const Index row = block.index();
    const float* const from = v + row * columns;
    const double squares = block.sum([&](int thread) {
      double own = 0;
      for (Index i = thread; i < columns; i += block.threads())
        own += static_cast<double>(from[i]) * static_cast<double>(from[i]);
      return own;
    });
    block.each_thread([&](int thread) {
      const auto norm = static_cast<float>(std::sqrt(squares));
      const float ratio = g[row] / norm;
      if (thread == 0 && ratios != nullptr) ratios[row] = ratio;
      if (thread == 0 && norms != nullptr) norms[row] = norm;
      for (Index i = thread; w != nullptr && i < columns; i += block.threads()) w[row * columns + i] = from[i] * ratio;
    });
  }
};

template <class Launcher>
std::unique_ptr<Kernel> lower_weight_norm(const KernelRequest& request, const Launcher& launcher) {
  constexpr std::int64_t kMostThreadsOfRow = 256;
  const Shape& shape = request.inputs[0].shape;
  const std::int64_t rows = shape[0], columns = shape.elements() / rows;
  return make_kernel([=](const Operands& bound) {
    launcher.for_each_block(
        rows, whole_warps(std::min(columns, kMostThreadsOfRow)), 0,
        WeightNormRow{bound.in(0), bound.in(1), bound.out(0), bound.out(1), bound.out(2), narrow(columns)});
  });
}

}  // namespace deq::cuda
