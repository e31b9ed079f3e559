#pragma once

#include <cstring>
#include <functional>
#include <vector>

#include "core/cuda/host_launcher.h"
#include "core/cuda/state_ops_on.h"

namespace deq::test {

/// Runner of StateOpsOn without a device: work waits in a queue until the host waits for it, as late as a device may
/// be, and scalars are read from a copy of their memory. What a solver reads too early it reads wrongly here.
class QueuedRunner {
 public:
  cuda::ScalarStage::Memory reserve(std::size_t bytes) {
    host_.assign(bytes, std::byte{0xEE});
    copy_.assign(bytes, std::byte{0xEE});
    return {host_.data(), copy_.data(), host_.data(), bytes};
  }
  void upload(const cuda::ScalarStage::Memory& memory, cuda::ScalarStage::Upload part) {
    if (part.bytes == 0) return;
    queue_.push_back([memory, part] { std::memcpy(memory.copy + part.offset, memory.host + part.offset, part.bytes); });
  }
  template <class Functor>
  void for_each(std::int64_t n, const Functor& functor) {
    queue_.push_back([n, functor] { cuda::HostLauncher().for_each(n, functor); });
  }
  template <class Program>
  void for_each_block(std::int64_t blocks, int threads, std::size_t shared_bytes, const Program& program) {
    queue_.push_back([blocks, threads, shared_bytes, program] {
      cuda::HostLauncher().for_each_block(blocks, threads, shared_bytes, program);
    });
  }
  [[nodiscard]] AlignedBytes allocate(std::size_t bytes) const { return allocate_aligned(bytes); }
  void wait() {
    for (const auto& work : queue_) work();
    queue_.clear();
  }

 private:
  std::vector<std::byte> host_, copy_;
  std::vector<std::function<void()>> queue_;
};

using QueuedStateOps = cuda::StateOpsOn<QueuedRunner>;

}  // namespace deq::test
