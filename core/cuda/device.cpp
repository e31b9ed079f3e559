#include "core/cuda/device.h"

#include <cuda_runtime_api.h>

#include "core/cuda/check.h"
#include "core/error.h"

namespace deq {

namespace cuda {

void check_cuda(cudaError_t status, std::string_view call) {
  check(status == cudaSuccess, "cuda", call, " failed: ", cudaGetErrorString(status), " (", cudaGetErrorName(status),
        ")");
}

}  // namespace cuda

std::vector<CudaDevice> cuda_devices() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    (void)cudaGetLastError();  // no driver or no device is an answer, not a fault that later calls should meet
    return {};
  }
  std::vector<CudaDevice> devices;
  for (int index = 0; index < count; ++index) {
    cudaDeviceProp properties{};
    cuda::check_cuda(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties");
    devices.push_back({.index = index,
                       .name = properties.name,
                       .compute_capability = concat(properties.major, ".", properties.minor),
                       .memory_bytes = properties.totalGlobalMem,
                       .multiprocessors = properties.multiProcessorCount});
  }
  return devices;
}

std::size_t free_cuda_memory(int index) {
  int before = 0;
  std::size_t free_bytes = 0, total_bytes = 0;
  cuda::check_cuda(cudaGetDevice(&before), "cudaGetDevice");
  cuda::check_cuda(cudaSetDevice(index), concat("cudaSetDevice(", index, ")"));
  cuda::check_cuda(cudaMemGetInfo(&free_bytes, &total_bytes), "cudaMemGetInfo");
  cuda::check_cuda(cudaSetDevice(before), "cudaSetDevice");
  return free_bytes;
}

std::string no_cuda_reason() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  (void)cudaGetLastError();
  if (status != cudaSuccess) return cudaGetErrorString(status);
  return count == 0 ? "no CUDA-capable device is detected" : "";
}

}  // namespace deq
