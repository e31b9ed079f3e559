#include <algorithm>
#include <cmath>

#include "core/reference/kernel.h"

namespace deq::reference {

Body lower(const Gather&, const KernelRequest& request) {
  const std::int64_t rows = request.inputs[0].shape[0], width = request.inputs[0].shape[1];
  const std::int64_t n = request.inputs[1].shape.elements();
  return [=](const Operands& at) {
    for (std::int64_t i = 0; i < n * width; ++i) {
      const std::int64_t row = at.index(1)[i / width];
      at.out()[i] = row >= 0 && row < rows ? at.in(0)[row * width + i % width] : 0.0;
    }
  };
}

Body lower(const GatherGrad& op, const KernelRequest& request) {
  const std::int64_t rows = op.rows, width = request.outputs[0].shape[1];
  const std::int64_t n = request.inputs[1].shape.elements();
  return [=](const Operands& at) {
    std::fill_n(at.out(), rows * width, 0.0);
    for (std::int64_t i = 0; i < n * width; ++i) {
      const std::int64_t row = at.index(1)[i / width];
      if (row >= 0 && row < rows) at.out()[row * width + i % width] += at.in(0)[i];
    }
  };
}

Body lower(const OneHot& op, const KernelRequest& request) {
  const std::int64_t n = request.inputs[0].shape.elements(), classes = op.classes;
  return [=](const Operands& at) {
    for (std::int64_t i = 0; i < n * classes; ++i) {
      at.out()[i] = at.index(0)[i / classes] == i % classes ? 1.0 : 0.0;
    }
  };
}

Body lower(const SoftmaxCrossEntropy&, const KernelRequest& request) {
  const std::int64_t batch = request.inputs[0].shape[0], classes = request.inputs[0].shape[1];
  return [=](const Operands& at) {
    for (std::int64_t b = 0; b < batch; ++b) {
      const double* logit = at.in(0) + b * classes;
      const double largest = *std::max_element(logit, logit + classes);
      double sum = 0;
      for (std::int64_t k = 0; k < classes; ++k) sum += std::exp(logit[k] - largest);
      for (std::int64_t k = 0; k < classes; ++k) at.out(1)[b * classes + k] = std::exp(logit[k] - largest) / sum;
      const std::int64_t label = at.index(1)[b];
      at.out()[b] = label >= 0 && label < classes ? std::log(sum) - (logit[label] - largest) : 0.0;
    }
  };
}

}  // namespace deq::reference
