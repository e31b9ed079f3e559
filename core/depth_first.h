#pragma once

#include <vector>

#include "core/sample_kernel.h"

namespace deq {

/// Where the rows of a sample lie while a thread works on it.
struct SampleAddress {
  std::byte* first = nullptr;     ///< those of sample 0 for thread 0; null where there are none
  std::size_t sample_stride = 0;  ///< bytes to the next sample; 0 for what is read whole, or held for one sample alone
  std::size_t thread_stride = 0;  ///< bytes to the next thread's; 0 for what all threads see

  [[nodiscard]] std::byte* at(std::int64_t sample, int thread) const {
    return first + static_cast<std::size_t>(sample) * sample_stride + static_cast<std::size_t>(thread) * thread_stride;
  }
};

/// Consecutive launches of a loop, sample by sample: every thread takes its
/// samples through all of them, without a barrier between launches, and what a
/// launch leaves for the next is still in the thread's cache. What nobody reads
/// after the last of them has memory for one sample a thread; everything else
/// must not share memory while they run, except exactly in place (core/plan.h).
class DepthFirst final : public Kernel {
 public:
  /// `parts` have the same number of samples and must outlive this.
  DepthFirst(const std::vector<SampleKernel*>& parts, int threads);

  [[nodiscard]] std::size_t workspace_bytes() const override;
  /// The workspace; operands come from `place`.
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override;
  /// Operands of one of the parts.
  void place(std::size_t part, std::vector<SampleAddress> inputs, std::vector<SampleAddress> outputs);
  void run() override;
  [[nodiscard]] std::int64_t samples() const { return parts_.front().kernel->samples(); }
  /// Threads that may call `run_sample` at once.
  [[nodiscard]] int threads() const { return threads_; }
  /// One sample through all launches, by a thread of a parallel region of at most threads() of them.
  void run_sample(std::int64_t sample);

 private:
  struct Part {
    SampleKernel* kernel;
    std::vector<SampleAddress> inputs, outputs;
  };
  /// Addresses for the launch that a thread is at; apart, so that threads share no cache line.
  struct alignas(64) Table {
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
  };

  std::vector<Part> parts_;
  std::vector<Table> tables_;  // [thread]
  int threads_;
  std::size_t scratch_bytes_ = 0;  // of one thread
  std::byte* workspace_ = nullptr;
};

/// Threads of the pool that kernels run on.
int pool_threads();

}  // namespace deq
