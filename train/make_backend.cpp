#include "train/make_backend.h"

#include "core/cpu/backend.h"
#include "core/reference/backend.h"

namespace deq {

std::unique_ptr<Backend> make_backend(Device device) {
  switch (device.kind) {
    case DeviceKind::cpu: return std::make_unique<CpuBackend>();
    case DeviceKind::reference: return std::make_unique<ReferenceBackend>();
    case DeviceKind::cuda: break;
  }
  throw RequestError(concat("device: this build has no backend for ", name_of(device), "; use --device cpu"));
}

}  // namespace deq
