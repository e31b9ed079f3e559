#include "core/cuda/backend.h"

#include <unordered_map>

#include "core/cuda/aligned_kernel.h"
#include "core/cuda/dispatch.h"
#include "core/cuda/graph_segment.h"
#include "core/cuda/group_quads.h"
#include "core/cuda/kernels.h"
#include "core/cuda/pixel_feed.h"
#include "core/cuda/state_ops.h"
#include "core/cuda/vendor_kernels.h"

namespace deq {

namespace {

/// A parameter's memory on the device. `tensor` tells whether the tensor still lives.
struct Resident {
  std::weak_ptr<Tensor> tensor;
  AlignedBytes memory;
  ParameterCopy copy;
};

}  // namespace

/// Members that launch come after the stream, so that they go first.
struct CudaBackend::State {
  State(int index, CudaOptions chosen)
      : options(chosen),
        stream(index),
        cudnn(stream),
        state_ops(cuda::make_state_ops(stream)),
        pixel_feed(cuda::make_pixel_feed(stream)) {}

  [[nodiscard]] cuda::Vendor vendor() { return {stream, cudnn, cublas, choices, options}; }

  CudaOptions options;
  cuda::Stream stream;
  cuda::Cudnn cudnn;
  cuda::CublasLt cublas;
  cuda::ConvChoices choices;
  std::unique_ptr<StateOps> state_ops;
  std::unique_ptr<PixelFeed> pixel_feed;
  cuda::SegmentCounts counts;
  std::unordered_map<const Tensor*, Resident> residents;
};

namespace {

struct DeviceFamilies {
  using Result = std::unique_ptr<Kernel>;
  cuda::Vendor vendor;

  Result elementwise(const KernelRequest& request) const { return cuda::elementwise_on(vendor.stream, request); }
  Result shape(const KernelRequest& request) const { return cuda::shape_on(vendor.stream, request); }
  Result sum(const KernelRequest& request) const { return cuda::sum_on(vendor.stream, request); }
  Result matmul(const KernelRequest& request) const { return cuda::matmul_on(vendor, request); }
  Result conv(const KernelRequest& request) const { return cuda::conv_on(vendor, request); }
  Result pack(const KernelRequest& request) const { return cuda::pack_on(vendor, request); }
  Result norm(const KernelRequest& request) const { return cuda::norm_on(vendor.stream, request); }
  Result image(const KernelRequest& request) const { return cuda::image_on(vendor.stream, request); }
  Result loss(const KernelRequest& request) const { return cuda::loss_on(vendor.stream, request); }
  Result random(const KernelRequest& request) const { return cuda::random_on(vendor.stream, request); }
  Result update(const KernelRequest& request) const { return cuda::update_on(vendor.stream, request); }
};

}  // namespace

CudaBackend::CudaBackend(int index, CudaOptions options) : state_(std::make_unique<State>(index, options)) {}
CudaBackend::~CudaBackend() = default;

Device CudaBackend::device() const { return {DeviceKind::cuda, state_->stream.device()}; }
AlignedBytes CudaBackend::allocate(std::size_t bytes) { return state_->stream.allocate(bytes); }
void CudaBackend::upload(void* to, const void* from, std::size_t bytes) { state_->stream.upload(to, from, bytes); }
void CudaBackend::download(void* to, const void* from, std::size_t bytes) { state_->stream.download(to, from, bytes); }
void CudaBackend::copy(void* to, const void* from, std::size_t bytes) { state_->stream.copy(to, from, bytes); }
void CudaBackend::synchronize() { state_->stream.synchronize(); }

std::unique_ptr<Segment> CudaBackend::freeze(std::vector<BoundLaunch> launches) {
  return std::make_unique<cuda::GraphSegment>(state_->stream, std::move(launches), state_->counts);
}

ParameterCopy* CudaBackend::parameter_copy(const std::shared_ptr<Tensor>& tensor) {
  std::erase_if(state_->residents, [](const auto& entry) { return entry.second.tensor.expired(); });
  Resident& resident = state_->residents[tensor.get()];
  if (resident.copy.data == nullptr) {
    resident.tensor = tensor;
    resident.memory = state_->stream.allocate(std::max<std::size_t>(tensor->bytes(), 1));
    resident.copy.data = resident.memory.get();
    upload(resident.copy.data, tensor->raw(), tensor->bytes());
  }
  return &resident.copy;
}

std::unique_ptr<Kernel> CudaBackend::lower(const KernelRequest& request) {
  return cuda::with_aligned_operands(*this, request, cuda::lower_through(request, DeviceFamilies{state_->vendor()}));
}

bool CudaBackend::may_overwrite(const Op& op, std::size_t input) const { return cuda::overwrites(op, input); }

std::int64_t CudaBackend::packed_weight_bytes(const PackWeights& pack, const TensorType& weight) const {
  return cuda::packed_bytes(state_->vendor(), pack, weight);
}

bool CudaBackend::packs_alike(const PackWeights& a, const PackWeights& b, const TensorType& weight) const {
  return cuda::packed_alike(state_->vendor(), a, b, weight);
}

bool CudaBackend::has_group_norm_pair(const GroupNormPair& pair, const TensorType& x) const {
  return x.dtype == DType::f32 && cuda::quads_of(pair, x.shape, state_->stream.limits()).has_value();
}

StateOps& CudaBackend::state_ops() { return *state_->state_ops; }
PixelFeed* CudaBackend::pixel_feed() { return state_->pixel_feed.get(); }
const CudaOptions& CudaBackend::options() const { return state_->options; }
std::size_t CudaBackend::waits() const { return state_->stream.waits(); }
std::size_t CudaBackend::captured_segments() const { return state_->counts.captured; }
std::size_t CudaBackend::uncaptured_segments() const { return state_->counts.uncaptured; }

}  // namespace deq
