#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "core/cuda/launch.h"
#include "core/tensor.h"

namespace deq::cuda {

/// One device and the one stream on which everything of a backend runs, in order. `Launcher` (launcher.h) starts
/// kernels on it.
class Stream {
 public:
  /// Makes the device the current one of this thread, which is the thread that uses the stream.
  /// Errors: there is no device `index`.
  explicit Stream(int index);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  [[nodiscard]] cudaStream_t handle() const { return handle_; }
  [[nodiscard]] int device() const { return index_; }
  [[nodiscard]] BlockLimits limits() const { return limits_; }
  /// Shared memory of a multiprocessor, in bytes.
  [[nodiscard]] std::size_t multiprocessor_bytes() const { return multiprocessor_bytes_; }

  /// Zeroed device memory, released with cudaFree. Errors: not enough; the message says how much is free and what makes
  /// a program smaller.
  [[nodiscard]] AlignedBytes allocate(std::size_t bytes) const;
  void upload(void* to, const void* from, std::size_t bytes) const;
  /// Waits: `to` is filled on return.
  void download(void* to, const void* from, std::size_t bytes);
  void copy(void* to, const void* from, std::size_t bytes) const;
  void synchronize();
  /// How often the host has waited for the device, for tests and benchmarks.
  [[nodiscard]] std::size_t waits() const { return waits_; }

 private:
  int index_;
  BlockLimits limits_;
  std::size_t multiprocessor_bytes_ = 0;
  cudaStream_t handle_ = nullptr;
  std::size_t waits_ = 0;
};

}  // namespace deq::cuda
