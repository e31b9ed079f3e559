#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/cuda/device.h"
#include "train/config.h"

namespace deq {

/// The backend of `device`, which computes as `compute` says.
/// Errors (RequestError): this build has none for it, or there is no such device.
std::unique_ptr<Backend> make_backend(Device device, const ComputeConfig& compute = {});

/// The GPUs that this build can use, by index; empty without CUDA.
std::vector<CudaDevice> usable_gpus();
/// Why there are none: the build, or the driver's words. Empty when there are some.
std::string no_gpu_reason();

}  // namespace deq
