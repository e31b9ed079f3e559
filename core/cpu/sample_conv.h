#pragma once

#include <vector>

#include "core/cpu/onednn.h"
#include "core/sample_kernel.h"

namespace deq::cpu {

/// A convolution of bf16 operands by oneDNN, one sample after the other on one thread each, so that it joins runs by
/// sample (core/sample_runs.h). Operands: x f32[B,H,W,Cin], rounded sample by sample, and packed weights.
class SampleConvKernel final : public SampleKernel {
 public:
  /// The plan of one sample of `plan`, a forward pass of packed weights; its packed weights serve any batch.
  [[nodiscard]] static ConvPlan of_one(const ConvPlan& plan);
  /// True where it pays: weights that stay in the second-level cache, and a sample for every thread.
  [[nodiscard]] static bool fits(const ConvPlan& plan);
  explicit SampleConvKernel(const ConvPlan& plan);

  [[nodiscard]] std::size_t workspace_bytes() const override;
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override;
  void run() override;

  [[nodiscard]] std::int64_t samples() const override { return shape_.batch; }
  [[nodiscard]] std::size_t sample_scratch_bytes() const override;
  void run_sample(std::span<const void* const> inputs, std::span<void* const> outputs, void* scratch) override;

 private:
  ConvShape shape_;
  std::int64_t threads_;           // of a run of the whole batch
  std::vector<OnednnConv> convs_;  // [thread]
  const float* from_ = nullptr;
  const void* weight_ = nullptr;
  float* to_ = nullptr;
  std::byte* workspace_ = nullptr;
};

}  // namespace deq::cpu
