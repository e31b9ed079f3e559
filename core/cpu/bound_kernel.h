#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/sample_kernel.h"

namespace deq::cpu {

/// Addresses that a kernel works on, in the order of the node.
struct Operands {
  std::span<const void* const> inputs;
  std::span<void* const> outputs;
  void* workspace = nullptr;

  template <class T = float>
  [[nodiscard]] const T* in(std::size_t i) const {
    return static_cast<const T*>(inputs[i]);
  }
  /// Null when nobody reads output `i`.
  template <class T = float>
  [[nodiscard]] T* out(std::size_t i) const {
    return static_cast<T*>(outputs[i]);
  }
  template <class T = float>
  [[nodiscard]] T* scratch(std::size_t byte_offset = 0) const {
    return reinterpret_cast<T*>(static_cast<std::byte*>(workspace) + byte_offset);
  }
};

/// A kernel that is one callable `run(const Operands&)`; what was analysed at lowering lives in its captures.
template <class Run>
class BoundKernel final : public Kernel {
 public:
  explicit BoundKernel(Run run, std::size_t workspace_bytes)
      : run_(std::move(run)), workspace_bytes_(workspace_bytes) {}

  [[nodiscard]] std::size_t workspace_bytes() const override { return workspace_bytes_; }
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    inputs_.assign(inputs.begin(), inputs.end());
    outputs_.assign(outputs.begin(), outputs.end());
    workspace_ = workspace;
  }
  void run() override { run_(Operands{inputs_, outputs_, workspace_}); }

 private:
  Run run_;
  std::size_t workspace_bytes_;
  std::vector<const void*> inputs_;
  std::vector<void*> outputs_;
  void* workspace_ = nullptr;
};

template <class Run>
std::unique_ptr<Kernel> make_kernel(Run run, std::size_t workspace_bytes = 0) {
  return std::make_unique<BoundKernel<Run>>(std::move(run), workspace_bytes);
}

/// What a kernel does for samples [first, last) of its operands on the calling thread: `run(const Operands&, first,
/// last, scratch)` with scratch_bytes of scratch.
template <class Run>
struct SampleRun {
  std::int64_t samples = 0;
  Run run;
  std::size_t scratch_bytes = 0;
};

/// As BoundKernel, which may also run sample by sample.
template <class RunAll, class RunSome>
class BoundSampleKernel final : public SampleKernel {
 public:
  BoundSampleKernel(RunAll run, std::size_t workspace_bytes, SampleRun<RunSome> some)
      : all_(std::move(run), workspace_bytes), some_(std::move(some)) {}

  [[nodiscard]] std::size_t workspace_bytes() const override { return all_.workspace_bytes(); }
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    all_.bind(inputs, outputs, workspace);
  }
  void run() override { all_.run(); }
  [[nodiscard]] std::int64_t samples() const override { return some_.samples; }
  [[nodiscard]] std::size_t sample_scratch_bytes() const override { return some_.scratch_bytes; }
  void run_sample(std::span<const void* const> inputs, std::span<void* const> outputs, void* scratch) override {
    some_.run(Operands{inputs, outputs, scratch}, 0, 1, static_cast<std::byte*>(scratch));
  }

 private:
  BoundKernel<RunAll> all_;
  SampleRun<RunSome> some_;
};

template <class RunAll, class RunSome>
std::unique_ptr<Kernel> make_sample_kernel(RunAll run, std::size_t workspace_bytes, SampleRun<RunSome> some) {
  return std::make_unique<BoundSampleKernel<RunAll, RunSome>>(std::move(run), workspace_bytes, std::move(some));
}

/// Kernel for two possible outcomes of lowering: nothing to do (an empty tensor, an output nobody reads).
inline std::unique_ptr<Kernel> make_idle_kernel() {
  return make_kernel([](const Operands&) {});
}

}  // namespace deq::cpu
