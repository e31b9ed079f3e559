#pragma once

#include <memory>
#include <vector>

#include "core/backend.h"

namespace deq::cuda {

/// What loads of four floats, asynchronous copies and the vendor's libraries count on.
inline constexpr std::size_t kOperandAlignment = 16;

[[nodiscard]] inline bool is_aligned(const void* at) {
  return reinterpret_cast<std::size_t>(at) % kOperandAlignment == 0;
}

/// True where a kernel of `op` may read or write more than one element of an operand at once.
[[nodiscard]] inline bool takes_quads(const Op& op) {
  const bool is_conv = std::holds_alternative<Conv2d>(op) || std::holds_alternative<Conv2dInputGrad>(op) ||
                       std::holds_alternative<Conv2dWeightGrad>(op);
  const bool is_norm = std::holds_alternative<GroupNorm>(op) || std::holds_alternative<GroupNormPair>(op);
  const bool is_image = std::holds_alternative<Resize>(op) || std::holds_alternative<UpsampleSum>(op);
  return is_conv || is_norm || is_image || std::holds_alternative<MatMul>(op);
}

/// A kernel that meets operands at multiples of kOperandAlignment only. Blocks of a state lie right behind each other,
/// for solvers take them as one vector, so after one of odd size they begin anywhere: such an operand is copied into
/// memory of this kernel's own before it runs, a result out of it afterwards. All others are used where they are.
class AlignedKernel final : public Kernel {
 public:
  AlignedKernel(Backend& backend, const KernelRequest& request, std::unique_ptr<Kernel> kernel)
      : backend_(&backend), kernel_(std::move(kernel)) {
    const auto bytes_of = [&](const TensorType& type) {
      return static_cast<std::size_t>(type.shape.elements()) * size_of(backend.storage(type.dtype));
    };
    for (const TensorType& type : request.inputs) input_bytes_.push_back(bytes_of(type));
    for (const TensorType& type : request.outputs) output_bytes_.push_back(bytes_of(type));
  }

  [[nodiscard]] std::size_t workspace_bytes() const override { return kernel_->workspace_bytes(); }
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    owned_.clear(), before_.clear(), after_.clear();
    std::vector<const void*> in(inputs.begin(), inputs.end());
    std::vector<void*> out(outputs.begin(), outputs.end());
    for (std::size_t i = 0; i < in.size(); ++i) {
      if (is_aligned(in[i])) continue;
      before_.push_back({own(input_bytes_[i]), in[i], input_bytes_[i]});
      in[i] = before_.back().to;
    }
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (is_aligned(out[i])) continue;
      after_.push_back({out[i], own(output_bytes_[i]), output_bytes_[i]});
      out[i] = owned_.back().get();
    }
    kernel_->bind(in, out, workspace);
  }
  void run() override {
    for (const Move& move : before_) backend_->copy(move.to, move.from, move.bytes);
    kernel_->run();
    for (const Move& move : after_) backend_->copy(move.to, move.from, move.bytes);
  }

 private:
  struct Move {
    void* to;
    const void* from;
    std::size_t bytes;
  };
  void* own(std::size_t bytes) { return owned_.emplace_back(backend_->allocate(bytes)).get(); }

  Backend* backend_;
  std::unique_ptr<Kernel> kernel_;
  std::vector<std::size_t> input_bytes_, output_bytes_;
  std::vector<AlignedBytes> owned_;
  std::vector<Move> before_, after_;
};

/// `kernel`, or where its operands must be aligned one that sees to it.
[[nodiscard]] inline std::unique_ptr<Kernel> with_aligned_operands(Backend& backend, const KernelRequest& request,
                                                                   std::unique_ptr<Kernel> kernel) {
  if (!takes_quads(request.op)) return kernel;
  return std::make_unique<AlignedKernel>(backend, request, std::move(kernel));
}

}  // namespace deq::cuda
