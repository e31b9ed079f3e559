#pragma once

#include <cuda_runtime_api.h>

#include <string_view>

namespace deq::cuda {

/// Throws Error("cuda: `call` failed: ...") unless `status` is success.
void check_cuda(cudaError_t status, std::string_view call);

}  // namespace deq::cuda
