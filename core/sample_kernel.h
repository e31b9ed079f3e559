#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/backend.h"

namespace deq {

/// A kernel whose rows along axis 0 (samples) are independent: row s of its
/// results needs row s of its operands and, of weights, all. It may run for
/// some samples alone, so that one sample goes through several kernels while it
/// is in cache (core/depth_first.h).
class SampleKernel : public Kernel {
 public:
  /// Rows of operands and results; 0 when this kernel takes all of them at once
  /// after all.
  [[nodiscard]] virtual std::int64_t samples() const = 0;
  /// Scratch of one thread in run_sample.
  [[nodiscard]] virtual std::size_t sample_scratch_bytes() const { return 0; }
  /// As run, for one sample on the calling thread; the same bits. Addresses are
  /// those of the sample's rows, of operands that are read whole their own;
  /// null for outputs that nobody reads. They and `scratch` replace what was
  /// bound.
  virtual void run_sample(std::span<const void* const> inputs, std::span<void* const> outputs, void* scratch) = 0;
};

}  // namespace deq
