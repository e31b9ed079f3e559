#include "train/make_backend.h"

#include "core/cpu/backend.h"
#include "core/reference/backend.h"

namespace deq {

namespace {

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
  throw RequestError(concat("device: this build has no backend for ", name_of(device), "; use --device cpu"));
}

}  // namespace deq
