#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "core/cuda/launch.h"

// The host's stand-in for a stream: runs the same functors and block programs one index after the other. With it every
// kernel of ours that is written against a launcher runs, and is tested, without a GPU.
//
// A launcher has two members:
//   for_each(n, f)                              f(i) for i in [0, n), in any order
//   for_each_block(blocks, threads, shared, p)  p(block) for each of `blocks` blocks of `threads` threads (whole warps)
//                                               with `shared` bytes of shared memory
// A block program is a sequence of phases. What one phase leaves for the next lies in shared or global memory, never in
// a thread's variables, for the host runs a phase for all threads before it starts the next.

namespace deq::cuda {

/// A block whose threads take turns. Same interface as DeviceBlock.
class HostBlock {
 public:
  HostBlock(Index index, int threads, std::byte* shared) : index_(index), threads_(threads), shared_(shared) {}

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
    for (int thread = 0; thread < threads_; ++thread) phase(thread);
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
};

class HostLauncher {
 public:
  template <class Functor>
  void for_each(std::int64_t n, const Functor& functor) const {
    for (std::int64_t i = 0; i < n; ++i) functor(static_cast<Index>(i));
  }
  template <class Program>
  void for_each_block(std::int64_t blocks, int threads, std::size_t shared_bytes, const Program& program) const {
    std::vector<std::max_align_t> shared((shared_bytes + sizeof(std::max_align_t)) / sizeof(std::max_align_t));
    for (std::int64_t i = 0; i < blocks; ++i) {
      HostBlock block(static_cast<Index>(i), threads, reinterpret_cast<std::byte*>(shared.data()));
      program(block);
    }
  }
};

}  // namespace deq::cuda
