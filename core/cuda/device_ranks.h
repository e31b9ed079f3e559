#pragma once

#include <cooperative_groups.h>

#include "core/cuda/device_block.h"

namespace deq::cuda {

/// The device's side of a program for the blocks of a cluster, each known by its rank; host_ranks.h says what a program
/// may do. Clusters of one block run on every device, larger ones from compute capability 9.0 on.
class DeviceRanks {
 public:
  /// A variable of every thread that outlives phases.
  template <class T>
  class Kept {
   public:
    __host__ __device__ explicit Kept(const DeviceRanks&) {}
    __host__ __device__ T& operator()(int, int) { return own_; }

   private:
    T own_{};
  };

  __host__ __device__ explicit DeviceRanks(int ranks) : ranks_(ranks) {}

  __host__ __device__ Index index() const { return block_.index() / ranks_; }
  __host__ __device__ int ranks() const { return ranks_; }
  __host__ __device__ int threads() const { return block_.threads(); }
  template <class T>
  __host__ __device__ T* shared(int rank, std::size_t offset) const {
    T* const own = block_.shared<T>(offset);
#ifdef DEQ_HAS_CLUSTERS
    if (rank != this->rank()) return cooperative_groups::this_cluster().map_shared_rank(own, rank);
#else
    (void)rank;
#endif
    return own;
  }
  template <class Phase>
  __host__ __device__ void each_thread(const Phase& phase) const {
    block_.each_thread([&](int thread) { phase(rank(), thread); });
  }
  /// The first of these also waits until all blocks have started.
  template <class Value, class Use>
  __host__ __device__ void each_warp(const Value& value, const Use& use) const {
#ifdef __CUDA_ARCH__
    const int thread = static_cast<int>(threadIdx.x);
    auto total = value(rank(), thread);
    for (int offset = kWarp / 2; offset > 0; offset /= 2) total += shuffle_down(total, offset);
#ifdef DEQ_HAS_CLUSTERS
    if (!has_met_) cooperative_groups::this_cluster().barrier_wait();
    has_met_ = true;
#endif
    if (thread % kWarp == 0) use(rank(), thread / kWarp, total);
#ifdef DEQ_HAS_CLUSTERS
    cooperative_groups::this_cluster().sync();
#else
    __syncthreads();
#endif
#else
    (void)value, (void)use;
#endif
  }

 private:
  __host__ __device__ int rank() const { return static_cast<int>(block_.index()) % ranks_; }

  DeviceBlock block_;
  int ranks_;
  mutable bool has_met_ = false;
};

}  // namespace deq::cuda
