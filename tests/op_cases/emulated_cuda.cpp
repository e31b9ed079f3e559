#include "tests/op_cases/emulated_cuda.h"

#include "core/cuda/aligned_kernel.h"
#include "core/cuda/direct_kernels.h"
#include "core/cuda/dispatch.h"
#include "core/cuda/host_launcher.h"
#include "core/cuda/image_kernels.h"
#include "core/cuda/loss_kernels.h"
#include "core/cuda/norm_kernels.h"
#include "core/cuda/random_kernels.h"
#include "core/cuda/shape_kernels.h"
#include "core/cuda/state_ops_on.h"
#include "core/cuda/sum_kernels.h"
#include "core/cuda/update_kernels.h"
#include "core/dependencies.h"
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
  Result pack(const KernelRequest& request) const { return cuda::lower_pack(request, host, /*is_bf16=*/false); }
  Result norm(const KernelRequest& request) const { return cuda::lower_norm(request, host); }
  Result image(const KernelRequest& request) const { return cuda::lower_image(request, host); }
  Result loss(const KernelRequest& request) const { return cuda::lower_loss(request, host); }
  Result random(const KernelRequest& request) const {
    return cuda::lower_random(request, host, std::get<Random>(request.op));
  }
  Result update(const KernelRequest& request) const { return cuda::lower_update(request, host); }
};

/// A kernel that refuses what a device's own would fault on: operands of kernels that take quads, between two of them.
class StrictKernel final : public Kernel {
 public:
  explicit StrictKernel(std::unique_ptr<Kernel> kernel) : kernel_(std::move(kernel)) {}
  [[nodiscard]] std::size_t workspace_bytes() const override { return kernel_->workspace_bytes(); }
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    check(std::ranges::all_of(inputs, cuda::is_aligned) && std::ranges::all_of(outputs, cuda::is_aligned), "emulated",
          "an operand does not lie at a multiple of ", cuda::kOperandAlignment, " bytes");
    kernel_->bind(inputs, outputs, workspace);
  }
  void run() override { kernel_->run(); }

 private:
  std::unique_ptr<Kernel> kernel_;
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

/// Launches with their updates joined, as a device's segment runs them. Always runs the last one that waits for
/// nothing, so that the order is as far from the list's as dependencies let it be.
class JoinedSegment final : public Segment {
 public:
  explicit JoinedSegment(std::span<const BoundLaunch> launches) : launches_(cuda::join_updates(launches, owned_)) {
    const std::vector<std::vector<std::size_t>> dependencies = dependencies_of(launches_);
    std::vector<std::uint8_t> is_done(launches_.size(), 0);
    while (order_.size() < launches_.size()) {
      std::size_t last = launches_.size();
      const auto is_ready = [&](std::size_t i) {
        return !is_done[i] && std::ranges::all_of(dependencies[i], [&](std::size_t first) { return is_done[first]; });
      };
      do --last;
      while (!is_ready(last));
      is_done[last] = 1;
      order_.push_back(launches_[last].kernel);
    }
  }
  void run() override {
    const Access access;
    for (Kernel* kernel : order_) kernel->run();
  }

 private:
  std::vector<std::unique_ptr<Kernel>> owned_;
  std::vector<BoundLaunch> launches_;
  std::vector<Kernel*> order_;
};

/// Runner of cuda::StateOpsOn whose work is done at once, with access to guarded memory.
class PromptRunner {
 public:
  cuda::ScalarStage::Memory reserve(std::size_t bytes) {
    host_.resize(bytes);
    copy_.resize(bytes);
    return {host_.data(), copy_.data(), host_.data(), bytes};
  }
  void upload(const cuda::ScalarStage::Memory& memory, cuda::ScalarStage::Upload part) {
    std::memcpy(memory.copy + part.offset, memory.host + part.offset, part.bytes);
  }
  template <class Functor>
  void for_each(std::int64_t n, const Functor& functor) {
    const Access access;
    cuda::HostLauncher().for_each(n, functor);
  }
  template <class Program>
  void for_each_block(std::int64_t blocks, int threads, std::size_t shared_bytes, const Program& program) {
    const Access access;
    cuda::HostLauncher().for_each_block(blocks, threads, shared_bytes, program);
  }
  [[nodiscard]] AlignedBytes allocate(std::size_t bytes) const { return allocate_guarded(bytes); }
  void wait() {}

 private:
  std::vector<std::byte> host_, copy_;
};

}  // namespace

std::unique_ptr<Kernel> lower_emulated(const KernelRequest& request) {
  return cuda::lower_through(request, EmulatedFamilies{});
}

std::unique_ptr<Kernel> lower_emulated_reversed(const KernelRequest& request) {
  return cuda::lower_through(request, EmulatedFamilies{.host = cuda::HostLauncher::reversed()});
}

EmulatedCuda::EmulatedCuda(DeviceKind kind)
    : kind_(kind), state_ops_(std::make_unique<cuda::StateOpsOn<PromptRunner>>()) {}
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

std::unique_ptr<Segment> EmulatedCuda::freeze(std::vector<BoundLaunch> launches) {
  for (BoundLaunch& launch : launches) launch.kernel = dynamic_cast<GuardedKernel&>(*launch.kernel).inner();
  return std::make_unique<JoinedSegment>(launches);
}

bool EmulatedCuda::has_group_norm_pair(const GroupNormPair& pair, const TensorType& x) const {
  return x.dtype == DType::f32 && cuda::quads_of(pair, x.shape, cuda::HostLauncher().limits()).has_value();
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
  std::unique_ptr<Kernel> kernel = lower_emulated(request);
  if (cuda::takes_quads(request.op)) kernel = std::make_unique<StrictKernel>(std::move(kernel));
  return std::make_unique<GuardedKernel>(cuda::with_aligned_operands(*this, request, std::move(kernel)));
}

std::int64_t EmulatedCuda::packed_weight_bytes(const PackWeights& pack, const TensorType& weight) const {
  (void)pack;
  return static_cast<std::int64_t>(weight.bytes());
}

bool EmulatedCuda::may_overwrite(const Op& op, std::size_t input) const { return cuda::overwrites(op, input); }

}  // namespace deq::tests
