#include "train/make_backend.h"

#include "core/cpu/backend.h"
#include "core/reference/backend.h"

#ifdef DEQ_CUDA
#include "core/cuda/backend.h"
#endif

namespace deq {
namespace {

#ifdef DEQ_CUDA
CudaPrecision precision_named(const std::string& name) {
  if (name == "f32") return CudaPrecision::f32;
  if (name == "bf16") return CudaPrecision::bf16;
  return CudaPrecision::tf32;
}

std::unique_ptr<Backend> make_cuda_backend(int index, const ComputeConfig& compute) {
  return std::make_unique<CudaBackend>(
      index, CudaOptions{.precision = precision_named(compute.precision), .is_deterministic = compute.deterministic});
}
#else
std::unique_ptr<Backend> make_cuda_backend(int, const ComputeConfig&) {
  throw RequestError(concat("device: ", no_gpu_reason(), "; use --device cpu"));
}
#endif

ConvAlgorithm algorithm_of(const std::string& name) {
  if (name == "direct") return ConvAlgorithm::direct;
  if (name == "winograd") return ConvAlgorithm::winograd;
  if (name == "bf16") return ConvAlgorithm::bf16;
  return ConvAlgorithm::automatic;
}

}  // namespace

std::unique_ptr<Backend> make_backend(Device device, const ComputeConfig& compute) {
  switch (device.kind) {
    case DeviceKind::cpu:
      return std::make_unique<CpuBackend>(CpuOptions{.algorithm = algorithm_of(compute.convolution)});
    case DeviceKind::reference: return std::make_unique<ReferenceBackend>();
    case DeviceKind::cuda: break;
  }
  return make_cuda_backend(device.index, compute);
}

#ifdef DEQ_CUDA
std::vector<CudaDevice> usable_gpus() { return cuda_devices(); }
std::string no_gpu_reason() { return no_cuda_reason(); }
#else
std::vector<CudaDevice> usable_gpus() { return {}; }
std::string no_gpu_reason() { return "this build has no CUDA (it was configured without -DDEQ_CUDA=ON)"; }
#endif

}  // namespace deq
