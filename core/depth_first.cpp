#include "core/depth_first.h"

#include <omp.h>

#include <algorithm>

namespace deq {
namespace {

/// Room for addresses in a cache line of their own.
constexpr std::size_t kFewestAddresses = 16;

}  // namespace

DepthFirst::DepthFirst(const std::vector<SampleKernel*>& parts, int threads)
    : tables_(static_cast<std::size_t>(threads)), threads_(threads) {
  std::size_t most = 0;
  for (SampleKernel* part : parts) {
    parts_.push_back({part, {}, {}});
    most = std::max(most, part->sample_scratch_bytes());
  }
  scratch_bytes_ = (most + 4095) / 4096 * 4096;  // whole pages: threads share no cache line
}

std::size_t DepthFirst::workspace_bytes() const { return static_cast<std::size_t>(threads_) * scratch_bytes_; }

void DepthFirst::bind(std::span<const void* const>, std::span<void* const>, void* workspace) {
  workspace_ = static_cast<std::byte*>(workspace);
}

void DepthFirst::place(std::size_t part, std::vector<SampleAddress> inputs, std::vector<SampleAddress> outputs) {
  for (Table& table : tables_) {
    table.inputs.resize(std::max({kFewestAddresses, table.inputs.size(), inputs.size()}));
    table.outputs.resize(std::max({kFewestAddresses, table.outputs.size(), outputs.size()}));
  }
  parts_[part].inputs = std::move(inputs);
  parts_[part].outputs = std::move(outputs);
}

void DepthFirst::run() {
#pragma omp parallel for schedule(static) num_threads(threads_)
  for (std::int64_t sample = 0; sample < samples(); ++sample) run_sample(sample);
}

void DepthFirst::run_sample(std::int64_t sample) {
  const int thread = omp_get_thread_num();
  std::byte* const scratch = workspace_ + static_cast<std::size_t>(thread) * scratch_bytes_;
  Table& table = tables_[static_cast<std::size_t>(thread)];
  const auto at = [sample, thread](const SampleAddress& address) { return address.at(sample, thread); };
  for (const Part& part : parts_) {
    std::ranges::transform(part.inputs, table.inputs.begin(), at);
    std::ranges::transform(part.outputs, table.outputs.begin(), at);
    part.kernel->run_sample(std::span(table.inputs).first(part.inputs.size()),
                            std::span(table.outputs).first(part.outputs.size()), scratch);
  }
}

int pool_threads() { return omp_get_max_threads(); }

}  // namespace deq
