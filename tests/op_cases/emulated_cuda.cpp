#include "tests/op_cases/emulated_cuda.h"

#include "core/cpu/host_state_ops.h"
#include "core/cuda/direct_kernels.h"
#include "core/cuda/dispatch.h"
#include "core/cuda/host_launcher.h"
#include "core/cuda/image_kernels.h"
#include "core/cuda/loss_kernels.h"
#include "core/cuda/norm_kernels.h"
#include "core/cuda/random_kernels.h"
#include "core/cuda/shape_kernels.h"
#include "core/cuda/sum_kernels.h"
#include "core/cuda/update_kernels.h"
#include "tests/op_cases/guarded_memory.h"

namespace deq::tests {

namespace {

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

/// A kernel that may touch guarded memory, for programs that launch one by one.
class GuardedKernel final : public Kernel {
 public:
  explicit GuardedKernel(std::unique_ptr<Kernel> kernel) : kernel_(std::move(kernel)) {}
  [[nodiscard]] std::size_t workspace_bytes() const override { return kernel_->workspace_bytes(); }
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    kernel_->bind(inputs, outputs, workspace);
  }
  void run() override {
    const Access access;
    kernel_->run();
  }
  [[nodiscard]] Kernel* inner() const { return kernel_.get(); }

 private:
  std::unique_ptr<Kernel> kernel_;
};

/// Kernels with their updates joined, as a device's segment runs them.
class JoinedList final : public Segment {
 public:
  explicit JoinedList(const std::vector<Kernel*>& kernels) : list_(cuda::join_updates(kernels, owned_)) {}
  void run() override {
    const Access access;
    list_.run();
  }

 private:
  std::vector<std::unique_ptr<Kernel>> owned_;
  KernelList list_;
};

/// The host's operations with access to guarded memory.
class GuardedStateOps final : public StateOps {
 public:
  void copy(const StateSpec& spec, StateView from, StateView to, SampleMask samples) override {
    const Access access;
    ops_.copy(spec, from, to, samples);
  }
  void fill(const StateSpec& spec, StateView out, double value, SampleMask samples) override {
    const Access access;
    ops_.fill(spec, out, value, samples);
  }
  void combine(const StateSpec& spec, double scale, std::span<const double> coefficient, StateStack x, int count,
               StateView out, SampleMask samples) override {
    const Access access;
    ops_.combine(spec, scale, coefficient, x, count, out, samples);
  }
  void recombine(const StateSpec& spec, StateStack x, int count, int kept, std::span<const double> coefficient,
                 SampleMask samples) override {
    const Access access;
    ops_.recombine(spec, x, count, kept, coefficient, samples);
  }
  void dots(const StateSpec& spec, StateStack x, int count, StateView y, std::span<double> dots,
            SampleMask samples) override {
    const Access access;
    ops_.dots(spec, x, count, y, dots, samples);
  }
  void copy_rows(const void* from, std::span<const int> from_rows, void* to, std::span<const int> to_rows,
                 std::size_t row_bytes) override {
    const Access access;
    ops_.copy_rows(from, from_rows, to, to_rows, row_bytes);
  }
  void residual(const StateSpec& spec, const ResidualRequest& request, SampleMask samples) override {
    const Access access;
    ops_.residual(spec, request, samples);
  }
  void product_step(const StateSpec& spec, const ProductStep& step, SampleMask samples) override {
    const Access access;
    ops_.product_step(spec, step, samples);
  }
  void apply_product(const StateSpec& spec, const ProductFactors& factors, Transposition transposition, StateView x,
                     StateView out, SampleMask samples) override {
    const Access access;
    ops_.apply_product(spec, factors, transposition, x, out, samples);
  }
  void apply_low_rank(const StateSpec& spec, const LowRankFactors& factors, Transposition transposition, StateView x,
                      StateView out, SampleMask samples) override {
    const Access access;
    ops_.apply_low_rank(spec, factors, transposition, x, out, samples);
  }

 private:
  HostStateOps ops_;
};

}  // namespace

std::unique_ptr<Kernel> lower_emulated(const KernelRequest& request) {
  return cuda::lower_through(request, EmulatedFamilies{});
}

std::unique_ptr<Kernel> lower_emulated_reversed(const KernelRequest& request) {
  return cuda::lower_through(request, EmulatedFamilies{.host = cuda::HostLauncher::reversed()});
}

EmulatedCuda::EmulatedCuda(DeviceKind kind) : kind_(kind), state_ops_(std::make_unique<GuardedStateOps>()) {}
EmulatedCuda::~EmulatedCuda() = default;

AlignedBytes EmulatedCuda::allocate(std::size_t bytes) {
  return kind_ == DeviceKind::cuda ? allocate_guarded(bytes) : allocate_aligned(bytes);
}

void EmulatedCuda::upload(void* to, const void* from, std::size_t bytes) {
  const Access access;
  std::memcpy(to, from, bytes);
  uploaded += bytes;
}

void EmulatedCuda::download(void* to, const void* from, std::size_t bytes) {
  const Access access;
  std::memcpy(to, from, bytes);
  downloaded += bytes;
}

void EmulatedCuda::copy(void* to, const void* from, std::size_t bytes) {
  const Access access;
  std::memcpy(to, from, bytes);
}

std::unique_ptr<Segment> EmulatedCuda::freeze(std::vector<Kernel*> kernels) {
  for (Kernel*& kernel : kernels) kernel = dynamic_cast<GuardedKernel&>(*kernel).inner();
  return std::make_unique<JoinedList>(kernels);
}

ParameterCopy* EmulatedCuda::parameter_copy(const std::shared_ptr<Tensor>& tensor) {
  Resident& resident = residents_[tensor.get()];
  if (resident.copy.data == nullptr) {
    resident.tensor = tensor;
    resident.memory = allocate_guarded(std::max<std::size_t>(tensor->bytes(), 1));
    resident.copy.data = resident.memory.get();
    upload(resident.copy.data, tensor->raw(), tensor->bytes());
  }
  return &resident.copy;
}

std::unique_ptr<Kernel> EmulatedCuda::lower(const KernelRequest& request) {
  return std::make_unique<GuardedKernel>(lower_emulated(request));
}

bool EmulatedCuda::may_overwrite(const Op& op, std::size_t input) const { return cuda::overwrites(op, input); }

}  // namespace deq::tests
