#pragma once

#include <cstddef>
#include <cstring>
#include <vector>

#include "core/cuda/launch.h"

// Programs for the blocks of a cluster, and the host's stand-in for one. As a block program (host_launcher.h), but
// every thread has a rank, that of its block, and blocks have shared memory of their own, in which others may write:
//   each_thread(phase)      phase(rank, thread) by every thread; those of its block see what it left
//   each_warp(value, use)   use(rank, warp, sum of value(rank, thread) over the warp) by one thread of every warp;
//                           all blocks see what it left. Whatever blocks write to each other they write here.

namespace deq::cuda {

/// Blocks whose threads take turns. Same interface as DeviceRanks.
class HostRanks {
 public:
  HostRanks(Index index, int ranks, int threads, std::size_t shared_bytes, bool is_reversed = false)
      : index_(index), ranks_(ranks), threads_(threads), is_reversed_(is_reversed) {
    const std::size_t words = (shared_bytes + sizeof(std::max_align_t)) / sizeof(std::max_align_t);
    shared_.assign(static_cast<std::size_t>(ranks), std::vector<std::max_align_t>(words));
    for (auto& memory : shared_) std::memset(memory.data(), 0x7f, memory.size() * sizeof(std::max_align_t));
  }

  /// A variable of every thread that outlives phases.
  template <class T>
  class Kept {
   public:
    explicit Kept(const HostRanks& block)
        : threads_(block.threads()), of_thread_(static_cast<std::size_t>(block.threads() * block.ranks())) {}
    T& operator()(int rank, int thread) { return of_thread_[static_cast<std::size_t>(rank * threads_ + thread)]; }

   private:
    int threads_;
    std::vector<T> of_thread_;
  };

  /// Number of this cluster in the launch.
  [[nodiscard]] Index index() const { return index_; }
  [[nodiscard]] int ranks() const { return ranks_; }
  /// Threads of a block.
  [[nodiscard]] int threads() const { return threads_; }
  /// Shared memory of a block from byte `offset` on, which T's alignment divides.
  template <class T>
  [[nodiscard]] T* shared(int rank, std::size_t offset) const {
    auto* const bytes = reinterpret_cast<std::byte*>(shared_[static_cast<std::size_t>(rank)].data());
    return reinterpret_cast<T*>(bytes + offset);
  }
  template <class Phase>
  void each_thread(const Phase& phase) const {
    const int all = ranks_ * threads_;
    for (int k = 0; k < all; ++k) {
      const int i = is_reversed_ ? all - 1 - k : k;
      phase(i / threads_, i % threads_);
    }
  }
  template <class Value, class Use>
  void each_warp(const Value& value, const Use& use) const {
    const int warps = threads_ / kWarp, all = ranks_ * warps;
    for (int k = 0; k < all; ++k) {
      const int i = is_reversed_ ? all - 1 - k : k, rank = i / warps, warp = i % warps;
      auto total = value(rank, warp * kWarp);
      for (int lane = 1; lane < kWarp; ++lane) total += value(rank, warp * kWarp + lane);
      use(rank, warp, total);
    }
  }

 private:
  Index index_;
  int ranks_, threads_;
  bool is_reversed_;
  mutable std::vector<std::vector<std::max_align_t>> shared_;
};

}  // namespace deq::cuda
