#pragma once

#include <vector>

#include "core/sample_kernel.h"

namespace deq {

/// Consecutive launches of a loop, sample by sample: every thread takes its
/// samples through all of them, without a barrier between launches, and what a
/// launch leaves for the next is still in the thread's cache. Values of
/// different launches must not share memory, except exactly in place
/// (core/plan.h).
class DepthFirst final : public Kernel {
 public:
  /// `parts` have the same number of samples and must outlive this.
  DepthFirst(std::vector<SampleKernel*> parts, int threads) : parts_(std::move(parts)), threads_(threads) {}

  [[nodiscard]] std::size_t workspace_bytes() const override;
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override;
  void run() override;
  [[nodiscard]] std::int64_t samples() const { return parts_.front()->samples(); }
  /// Threads that may call `run_sample` at once.
  [[nodiscard]] int threads() const { return threads_; }
  /// One sample through all launches, by a thread of a parallel region of at most threads() of them.
  void run_sample(std::int64_t sample);

 private:
  std::vector<SampleKernel*> parts_;
  int threads_;
  std::size_t scratch_bytes_ = 0;  // of one thread
  std::byte* workspace_ = nullptr;
};

/// Threads of the pool that kernels run on.
int pool_threads();

}  // namespace deq
