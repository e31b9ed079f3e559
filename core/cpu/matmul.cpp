#include "core/cpu/gemm.h"
#include "core/cpu/kernels.h"
#include "core/cpu/parallel.h"

namespace deq::cpu {

namespace {

/// Products below this many multiply-adds run one a thread, larger ones on all threads in turn.
constexpr std::int64_t kSharedWork = kSerialElements * kProductsPerElement;

class MatMulKernel final : public Kernel {
 public:
  MatMulKernel(const MatMul& op, const Shape& a, const Shape& b, const Shape& c)
      : op_(op), m_(c[-2]), n_(c[-1]), k_(op.transpose_a ? a[-2] : a[-1]), a_stride_(a[-1]), b_stride_(b[-1]) {
    for (int axis = 0; axis < c.rank() - 2; ++axis) count_ *= c[axis];
  }

  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* /*workspace*/) override {
    a_ = static_cast<const float*>(inputs[0]);
    b_ = static_cast<const float*>(inputs[1]);
    c_ = static_cast<float*>(outputs[0]);
  }

  void run() override {
    const std::int64_t each = m_ * n_ * k_;
    if (each < kSharedWork) {
      parallel_for(count_, count_ * each / kProductsPerElement, [&](std::int64_t i) { product(i); });
    } else {
      for (std::int64_t i = 0; i < count_; ++i) product(i);
    }
  }

 private:
  void product(std::int64_t i) const {
    multiply(m_, n_, k_, {a_ + i * m_ * k_, a_stride_, op_.transpose_a}, {b_ + i * k_ * n_, b_stride_, op_.transpose_b},
             c_ + i * m_ * n_, n_);
  }

  MatMul op_;
  std::int64_t count_ = 1, m_, n_, k_, a_stride_, b_stride_;
  const float* a_ = nullptr;
  const float* b_ = nullptr;
  float* c_ = nullptr;
};

}  // namespace

std::unique_ptr<Kernel> lower_matmul(const KernelRequest& request) {
  if (request.inputs[0].dtype != DType::f32) no_kernel(request, "matrix products are computed in f32");
  return std::make_unique<MatMulKernel>(std::get<MatMul>(request.op), request.inputs[0].shape, request.inputs[1].shape,
                                        request.outputs[0].shape);
}

}  // namespace deq::cpu
