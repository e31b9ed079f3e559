#pragma once

#include "core/cuda/check.h"
#include "core/cuda/device_block.h"
#include "core/cuda/stream.h"

// Starts functors and block programs on a stream. For .cu files only; host_launcher.h says what a launcher is.

namespace deq::cuda {

template <class Functor>
__global__ void __launch_bounds__(256) run_for_each(std::int64_t n, const __grid_constant__ Functor functor) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    functor(static_cast<Index>(i));
  }
}

template <class Program>
__global__ void run_block(const __grid_constant__ Program program) {
  program(DeviceBlock{});
}

class Launcher {
 public:
  explicit Launcher(const Stream& stream) : stream_(stream.handle()) {}

  template <class Functor>
  void for_each(std::int64_t n, const Functor& functor) const {
    if (n <= 0) return;
    const LaunchShape shape = shape_for_each(n);
    run_for_each<<<shape.blocks, shape.threads, 0, stream_>>>(n, functor);
    check_cuda(cudaGetLastError(), "launch");
  }
  template <class Program>
  void for_each_block(std::int64_t blocks, int threads, std::size_t shared_bytes, const Program& program) const {
    if (blocks <= 0) return;
    if (shared_bytes > kSharedBytes) {
      check_cuda(cudaFuncSetAttribute(run_block<Program>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      static_cast<int>(shared_bytes)),
                 "cudaFuncSetAttribute");
    }
    run_block<<<static_cast<unsigned>(blocks), static_cast<unsigned>(threads), shared_bytes, stream_>>>(program);
    check_cuda(cudaGetLastError(), "launch");
  }

 private:
  cudaStream_t stream_;
};

}  // namespace deq::cuda
