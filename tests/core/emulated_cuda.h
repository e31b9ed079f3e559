#pragma once

#include "core/cpu/host_state_ops.h"
#include "core/cuda/conv_kernels.h"
#include "core/cuda/dispatch.h"
#include "core/cuda/host_launcher.h"
#include "core/cuda/image_kernels.h"
#include "core/cuda/loss_kernels.h"
#include "core/cuda/norm_kernels.h"
#include "core/cuda/random_kernels.h"
#include "core/cuda/shape_kernels.h"
#include "core/cuda/sum_kernels.h"
#include "core/cuda/update_kernels.h"

namespace deq::tests {

/// The kernels of the CUDA backend on the host: the same factories and functors, index by index. Convolutions and
/// products are those of our own that stand in where the vendor's libraries have none.
struct EmulatedFamilies {
  using Result = std::unique_ptr<Kernel>;
  cuda::HostLauncher host = {};

  Result elementwise(const KernelRequest& request) const { return cuda::lower_elementwise(request, host); }
  Result shape(const KernelRequest& request) const { return cuda::lower_shape(request, host); }
  Result sum(const KernelRequest& request) const { return cuda::lower_sum(request, host, std::get<Sum>(request.op)); }
  Result matmul(const KernelRequest& request) const {
    return cuda::lower_direct_product(request, host, std::get<MatMul>(request.op));
  }
  Result conv(const KernelRequest& request) const { return cuda::lower_direct_conv(request, host); }
  Result pack(const KernelRequest& request) const { cuda::no_kernel(request, "weights are taken as they are"); }
  Result norm(const KernelRequest& request) const { return cuda::lower_norm(request, host); }
  Result image(const KernelRequest& request) const { return cuda::lower_image(request, host); }
  Result loss(const KernelRequest& request) const { return cuda::lower_loss(request, host); }
  Result random(const KernelRequest& request) const {
    return cuda::lower_random(request, host, std::get<Random>(request.op));
  }
  Result update(const KernelRequest& request) const { return cuda::lower_update(request, host); }
};

std::unique_ptr<Kernel> lower_emulated(const KernelRequest& request);

/// A host backend made of them, for whole graphs and programs.
class EmulatedCuda final : public Backend {
 public:
  [[nodiscard]] Device device() const override { return {DeviceKind::cpu, 0}; }
  [[nodiscard]] std::unique_ptr<Kernel> lower(const KernelRequest& request) override { return lower_emulated(request); }
  [[nodiscard]] bool may_overwrite(const Op& op, std::size_t input) const override {
    return cuda::overwrites(op, input);
  }
  [[nodiscard]] StateOps& state_ops() override { return state_ops_; }
  [[nodiscard]] std::unique_ptr<Segment> freeze(std::vector<Kernel*> kernels) override;

 private:
  HostStateOps state_ops_;
};

}  // namespace deq::tests
