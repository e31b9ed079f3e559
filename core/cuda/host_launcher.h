#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "core/cuda/host_ranks.h"
#include "core/cuda/launch.h"
#include "core/error.h"

// The host's stand-in for a stream: runs the same functors and block programs one index after the other. With it every
// kernel of ours that is written against a launcher runs, and is tested, without a GPU.
//
// A launcher has these members:
//   for_each(n, f)                              f(i) for i in [0, n), in any order
//   for_each_block(blocks, threads, shared, p)  p(block) for each of `blocks` blocks of `threads` threads (whole warps)
//                                               with `shared` bytes of shared memory
//   for_each_ranks(clusters, ranks, threads, shared, p)  the same for clusters of `ranks` such blocks (host_ranks.h)
// A block program is a sequence of phases. What one phase leaves for the next lies in shared or global memory, never in
// a thread's variables, for the host runs a phase for all threads before it starts the next; or in a Kept<T> of the
// block, which has a T for every thread.

namespace deq::cuda {

/// A block whose threads take turns. Same interface as DeviceBlock.
class HostBlock {
 public:
  HostBlock(Index index, int threads, std::byte* shared, bool is_reversed = false)
      : index_(index), threads_(threads), shared_(shared), is_reversed_(is_reversed) {}

  /// A variable of every thread that outlives phases.
  template <class T>
  class Kept {
   public:
    explicit Kept(const HostBlock& block) : of_thread_(static_cast<std::size_t>(block.threads())) {}
    T& operator[](int thread) { return of_thread_[static_cast<std::size_t>(thread)]; }

   private:
    std::vector<T> of_thread_;
  };

  /// Number of this block in the launch.
  [[nodiscard]] Index index() const { return index_; }
  [[nodiscard]] int threads() const { return threads_; }
  /// Shared memory from byte `offset` on, which T's alignment divides.
  template <class T>
  [[nodiscard]] T* shared(std::size_t offset = 0) const {
    return reinterpret_cast<T*>(shared_ + offset);
  }
  /// phase(thread) by every thread; all are done, and see what the others wrote, before this returns.
  template <class Phase>
  void each_thread(const Phase& phase) const {
    for (int k = 0; k < threads_; ++k) phase(is_reversed_ ? threads_ - 1 - k : k);
  }
  /// Sum over threads of value(thread), the same for all. Its type has a default value of zero and operator+=.
  template <class Value>
  [[nodiscard]] auto sum(const Value& value) const {
    std::decay_t<decltype(value(0))> total{};
    for (int thread = 0; thread < threads_; ++thread) total += value(thread);
    return total;
  }
  /// Largest of value(thread), a float or double.
  template <class Value>
  [[nodiscard]] auto max(const Value& value) const {
    auto largest = value(0);
    for (int thread = 1; thread < threads_; ++thread) {
      const auto other = value(thread);
      largest = other > largest ? other : largest;
    }
    return largest;
  }

 private:
  Index index_;
  int threads_;
  std::byte* shared_;
  bool is_reversed_;
};

/// Shared memory is filled anew before each block, so that nothing is read that the block did not write.
class HostLauncher {
 public:
  HostLauncher() = default;
  /// Takes indices, blocks and threads from the last to the first: on a device no order may be counted on.
  static HostLauncher reversed() {
    HostLauncher launcher;
    launcher.is_reversed_ = true;
    return launcher;
  }
  /// Has room for what compute capability 8.6 has room for, instead of 9.0.
  static HostLauncher older() {
    HostLauncher launcher;
    launcher.limits_ = {};
    return launcher;
  }
  template <class Functor>
  void for_each(std::int64_t n, const Functor& functor) const {
    for (std::int64_t i = 0; i < n; ++i) functor(static_cast<Index>(is_reversed_ ? n - 1 - i : i));
  }
  template <class Program>
  void for_each_block(std::int64_t blocks, int threads, std::size_t shared_bytes, const Program& program) const {
    check(shared_bytes <= kMostSharedBytes && threads <= kMostThreads, "launch", "no device has room for a block of ",
          threads, " threads with ", shared_bytes, " bytes");
    std::vector<std::max_align_t> shared((shared_bytes + sizeof(std::max_align_t)) / sizeof(std::max_align_t));
    for (std::int64_t i = 0; i < blocks; ++i) {
      std::memset(shared.data(), 0x7f, shared.size() * sizeof(std::max_align_t));
      const auto index = static_cast<Index>(is_reversed_ ? blocks - 1 - i : i);
      HostBlock block(index, threads, reinterpret_cast<std::byte*>(shared.data()), is_reversed_);
      program(block);
    }
  }
  [[nodiscard]] BlockLimits limits() const { return limits_; }
  template <class Program>
  void for_each_ranks(std::int64_t clusters, int ranks, int threads, std::size_t shared_bytes,
                      const Program& program) const {
    check(shared_bytes <= limits_.shared_bytes && (ranks == 1 || limits_.has_clusters), "launch",
          "this device has no room for ", ranks, " blocks with ", shared_bytes, " bytes each");
    for (std::int64_t i = 0; i < clusters; ++i)
      program(HostRanks(static_cast<Index>(is_reversed_ ? clusters - 1 - i : i), ranks, threads, shared_bytes,
                        is_reversed_));
  }

 private:
  bool is_reversed_ = false;
  BlockLimits limits_{.has_clusters = true, .shared_bytes = 227 * 1024};
};

}  // namespace deq::cuda
