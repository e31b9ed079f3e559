#pragma once

#include "core/cuda/check.h"
#include "core/cuda/device_cluster.h"
#include "core/cuda/device_ranks.h"
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

/// The program of a cluster; never launched where there are none.
template <class Program>
__global__ void __launch_bounds__(kMostThreads / 2, 2) run_cluster(const __grid_constant__ Program program) {
#ifdef DEQ_HAS_CLUSTERS
  cooperative_groups::this_cluster().sync();  // nobody writes to a block that has not started
  program(DeviceCluster{});
#endif
}

template <class Program>
__global__ void __launch_bounds__(kMostThreads / 2, 2) run_ranks(int ranks, const __grid_constant__ Program program) {
#ifdef DEQ_HAS_CLUSTERS
  (void)cooperative_groups::this_cluster().barrier_arrive();  // DeviceRanks waits for the others
#endif
  program(DeviceRanks(ranks));
}

class Launcher {
 public:
  explicit Launcher(const Stream& stream)
      : stream_(stream.handle()), limits_(stream.limits()), multiprocessor_bytes_(stream.multiprocessor_bytes()) {}

  [[nodiscard]] BlockLimits limits() const { return limits_; }

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
    allow_shared(run_block<Program>, shared_bytes);
    run_block<<<static_cast<unsigned>(blocks), static_cast<unsigned>(threads), shared_bytes, stream_>>>(program);
    check_cuda(cudaGetLastError(), "launch");
  }
  /// As for_each_block, with a cluster of blocks of `threads` threads as one.
  template <class Program>
  void for_each_cluster(std::int64_t clusters, int threads, const Program& program) const {
    if (clusters <= 0) return;
    cudaLaunchAttribute size{};
    const cudaLaunchConfig_t config = cluster_launch(clusters, DeviceCluster::kBlocks, threads, 0, size);
    check_cuda(cudaLaunchKernelEx(&config, run_cluster<Program>, program), "launch");
  }
  /// program(ranks) for each of `clusters` clusters of `ranks` blocks with `shared_bytes` bytes of shared memory each.
  template <class Program>
  void for_each_ranks(std::int64_t clusters, int ranks, int threads, std::size_t shared_bytes,
                      const Program& program) const {
    if (clusters <= 0) return;
    allow_shared(run_ranks<Program>, shared_bytes);
    cudaLaunchAttribute size{};
    const cudaLaunchConfig_t config = cluster_launch(clusters, ranks, threads, shared_bytes, size);
    check_cuda(cudaLaunchKernelEx(&config, run_ranks<Program>, ranks, program), "launch");
  }

 private:
  /// Raises what a kernel may have, and never lowers it: launches with more may have been captured.
  template <class Entry>
  void allow_shared(Entry* kernel, std::size_t shared_bytes) const {
    if (shared_bytes <= kSharedBytes) return;
    cudaFuncAttributes now{};
    check_cuda(cudaFuncGetAttributes(&now, kernel), "cudaFuncGetAttributes");
    if (static_cast<std::size_t>(now.maxDynamicSharedSizeBytes) >= shared_bytes) return;
    check_cuda(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
        "cudaFuncSetAttribute");
    // Room for two blocks, so that one computes while the other loads.
    constexpr std::size_t kReserved = 1024;
    const std::size_t percent = 2 * (shared_bytes + kReserved) * 100 / multiprocessor_bytes_ + 1;
    check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                                    static_cast<int>(std::min<std::size_t>(percent, 100))),
               "cudaFuncSetAttribute");
  }
  /// `size` is where the extent of a cluster lies while the launch is made.
  [[nodiscard]] cudaLaunchConfig_t cluster_launch(std::int64_t clusters, int ranks, int threads,
                                                  std::size_t shared_bytes, cudaLaunchAttribute& size) const {
    size.id = cudaLaunchAttributeClusterDimension;
    size.val.clusterDim = {static_cast<unsigned>(ranks), 1, 1};
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(clusters * ranks));
    config.blockDim = dim3(static_cast<unsigned>(threads));
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream_;
    config.attrs = &size;
    config.numAttrs = ranks > 1 ? 1 : 0;
    return config;
  }

  cudaStream_t stream_;
  BlockLimits limits_;
  std::size_t multiprocessor_bytes_;
};

}  // namespace deq::cuda
