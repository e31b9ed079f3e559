#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace deq {

/// One GPU as the driver describes it.
struct CudaDevice {
  int index = 0;
  std::string name;
  std::string compute_capability;  ///< "9.0"
  std::size_t memory_bytes = 0;
  int multiprocessors = 0;
};

/// The GPUs of this machine, in the order of their indices; none without a driver.
std::vector<CudaDevice> cuda_devices();
/// Bytes of `index` that nobody uses now. Errors: there is no such device.
std::size_t free_cuda_memory(int index);
/// Why there is no device, in the driver's words; empty when there is one.
std::string no_cuda_reason();

}  // namespace deq
