#include "core/reference/backend.h"

#include "core/reference/kernel.h"

namespace deq {
namespace reference {
namespace {

/// A body with its addresses.
class BodyKernel final : public Kernel {
 public:
  BodyKernel(Body body, std::span<const TensorType> outputs) : body_(std::move(body)) {
    for (const TensorType& type : outputs) output_types_.push_back({stored(type.dtype), type.shape});
  }

  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    (void)workspace;
    operands_.inputs.assign(inputs.begin(), inputs.end());
    operands_.outputs.assign(outputs.begin(), outputs.end());
    unread_.clear();
    for (std::size_t i = 0; i < operands_.outputs.size(); ++i) {
      if (operands_.outputs[i] != nullptr) continue;
      unread_.emplace_back(output_types_[i]);
      operands_.outputs[i] = unread_.back().raw();
    }
  }
  void run() override { body_(operands_); }

 private:
  Body body_;
  std::vector<TensorType> output_types_;
  Operands operands_;
  std::vector<Tensor> unread_;  ///< memory of the outputs that nobody reads
};

[[noreturn]] void refuse(const KernelRequest& request, std::string_view why) {
  throw Error(concat("reference: no kernel for ", name_of(request.op), " (layer '", request.label, "'): ", why));
}

}  // namespace

void check_real(const KernelRequest& request) {
  const auto check_all = [&](std::span<const TensorType> types) {
    for (const TensorType& type : types) {
      check(type.dtype != DType::bf16, "reference", name_of(request.op), " has no kernel for ", type, " (layer '",
            request.label, "')");
    }
  };
  check_all(request.inputs);
  check_all(request.outputs);
}

Body lower(const Input&, const KernelRequest& request) { refuse(request, "inputs are bound, not computed"); }
Body lower(const PackWeights&, const KernelRequest& request) {
  refuse(request, "this backend takes convolution weights as they are");
}
Body lower(const ConvBlock&, const KernelRequest& request) {
  refuse(request, "this backend takes convolution weights as they are");
}
Body lower(const GroupNormPair&, const KernelRequest& request) {
  refuse(request, "this backend takes one norm at a time");
}
Body lower(const Equilibrium&, const KernelRequest& request) {
  refuse(request, "equilibrium nodes are run by a compiled program");
}
Body lower(const ImplicitGradient&, const KernelRequest& request) {
  refuse(request, "equilibrium nodes are run by a compiled program");
}
Body lower(const LinearSolve&, const KernelRequest& request) {
  refuse(request, "equilibrium nodes are run by a compiled program");
}
Body lower(const StandIn&, const KernelRequest& request) {
  refuse(request, "equilibrium nodes are run by a compiled program");
}

}  // namespace reference

std::unique_ptr<Kernel> ReferenceBackend::lower(const KernelRequest& request) {
  reference::check_real(request);
  reference::Body body = std::visit([&](const auto& op) { return reference::lower(op, request); }, request.op);
  return std::make_unique<reference::BodyKernel>(std::move(body), request.outputs);
}

}  // namespace deq
