#include "core/depth_first.h"

#include <omp.h>

#include <algorithm>

namespace deq {
namespace {

/// Scratch of one thread, in whole pages, so that threads share no cache line.
std::size_t scratch_bytes(const std::vector<SampleKernel*>& parts) {
  std::size_t most = 0;
  for (const SampleKernel* part : parts) most = std::max(most, part->sample_scratch_bytes());
  return (most + 4095) / 4096 * 4096;
}

}  // namespace

std::size_t DepthFirst::workspace_bytes() const { return static_cast<std::size_t>(threads_) * scratch_bytes(parts_); }

void DepthFirst::bind(std::span<const void* const>, std::span<void* const>, void* workspace) {
  workspace_ = static_cast<std::byte*>(workspace);
  scratch_bytes_ = scratch_bytes(parts_);
}

void DepthFirst::run() {
#pragma omp parallel for schedule(static) num_threads(threads_)
  for (std::int64_t sample = 0; sample < samples(); ++sample) run_sample(sample);
}

void DepthFirst::run_sample(std::int64_t sample) {
  std::byte* const scratch = workspace_ + static_cast<std::size_t>(omp_get_thread_num()) * scratch_bytes_;
  for (SampleKernel* part : parts_) part->run_samples(sample, sample + 1, scratch);
}

int pool_threads() { return omp_get_max_threads(); }

}  // namespace deq
