#pragma once

#include <cooperative_groups.h>

#include "core/cuda/device_block.h"

namespace deq::cuda {

/// A cluster of kBlocks blocks that a program takes for one block: DeviceBlock's interface but for shared memory. From
/// compute capability 9.0 on. All blocks of a cluster must have started before its first operation (run_cluster).
class DeviceCluster {
 public:
  static constexpr int kBlocks = 2;

  __host__ __device__ Index index() const { return block_.index() / kBlocks; }
  __host__ __device__ int threads() const { return block_.threads() * kBlocks; }

  template <class Phase>
  __host__ __device__ void each_thread(const Phase& phase) const {
#ifdef DEQ_HAS_CLUSTERS
    phase(thread());
    cooperative_groups::this_cluster().sync();
#else
    (void)phase;
#endif
  }
  /// Blocks hand their sums to all others, in turns of two places: who writes a place anew has met all its readers
  /// since.
  template <class Value>
  __host__ __device__ auto sum(const Value& value) const {
    using T = std::decay_t<decltype(value(0))>;
#ifdef DEQ_HAS_CLUSTERS
    __shared__ __align__(16) unsigned char bytes[2][kBlocks * sizeof(T)];
    T* const of_block = reinterpret_cast<T*>(bytes[turn_]);
    turn_ = 1 - turn_;
    const auto cluster = cooperative_groups::this_cluster();
    const T own = block_.sum([&](int) { return value(thread()); });
    if (threadIdx.x < kBlocks) cluster.map_shared_rank(of_block, threadIdx.x)[cluster.block_rank()] = own;
    cluster.sync();
    T total{};
    for (int block = 0; block < kBlocks; ++block) total += of_block[block];
    return total;
#else
    (void)value;
    return T{};
#endif
  }

 private:
#ifdef DEQ_HAS_CLUSTERS
  __device__ static int thread() {
    return static_cast<int>(cooperative_groups::this_cluster().block_rank() * blockDim.x + threadIdx.x);
  }
#endif
  DeviceBlock block_;
  mutable int turn_ = 0;
};

}  // namespace deq::cuda
