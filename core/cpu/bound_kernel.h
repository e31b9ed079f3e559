#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/backend.h"

namespace deq::cpu {

/// Addresses of a bound kernel, in the order of the node.
struct Operands {
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
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
    operands_.inputs.assign(inputs.begin(), inputs.end());
    operands_.outputs.assign(outputs.begin(), outputs.end());
    operands_.workspace = workspace;
  }
  void run() override { run_(std::as_const(operands_)); }

 private:
  Run run_;
  std::size_t workspace_bytes_;
  Operands operands_;
};

template <class Run>
std::unique_ptr<Kernel> make_kernel(Run run, std::size_t workspace_bytes = 0) {
  return std::make_unique<BoundKernel<Run>>(std::move(run), workspace_bytes);
}

/// Kernel for two possible outcomes of lowering: nothing to do (an empty tensor, an output nobody reads).
inline std::unique_ptr<Kernel> make_idle_kernel() {
  return make_kernel([](const Operands&) {});
}

}  // namespace deq::cpu
