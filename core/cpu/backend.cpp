#include "core/cpu/backend.h"

#include "core/cpu/kernels.h"

namespace deq {

namespace cpu {

void no_kernel(const KernelRequest& request, std::string_view why) {
  std::string types;
  for (const TensorType& type : request.inputs) types += concat(types.empty() ? "" : ", ", type);
  throw Error(
      concat(name_of(request.op), ": no kernel on cpu: ", why, " (operands ", types, ", layer '", request.label, "')"));
}

}  // namespace cpu

namespace {

/// Sends each op to the factory of its family.
class Lowering {
 public:
  Lowering(const KernelRequest& request, const CpuOptions& options) : request_(request), options_(options) {}
  using Result = std::unique_ptr<Kernel>;

  Result operator()(const Constant&) const { return cpu::lower_elementwise(request_); }
  Result operator()(const Unary&) const { return cpu::lower_elementwise(request_); }
  Result operator()(const Binary&) const { return cpu::lower_elementwise(request_); }
  Result operator()(const Affine&) const { return cpu::lower_elementwise(request_); }
  Result operator()(const Copy&) const { return cpu::lower_elementwise(request_); }

  Result operator()(const Reshape&) const { return cpu::lower_shape(request_); }
  Result operator()(const Transpose&) const { return cpu::lower_shape(request_); }
  Result operator()(const Concat&) const { return cpu::lower_shape(request_); }
  Result operator()(const Slice&) const { return cpu::lower_shape(request_); }
  Result operator()(const Pad&) const { return cpu::lower_shape(request_); }
  Result operator()(const BroadcastTo&) const { return cpu::lower_shape(request_); }
  Result operator()(const Sum&) const { return cpu::lower_shape(request_); }

  Result operator()(const MatMul&) const { return cpu::lower_matmul(request_); }
  Result operator()(const Conv2d&) const { return cpu::lower_conv(request_, options_); }
  Result operator()(const Conv2dInputGrad&) const { return cpu::lower_conv(request_, options_); }
  Result operator()(const Conv2dWeightGrad&) const { return cpu::lower_conv(request_, options_); }
  Result operator()(const PackWeights&) const { return cpu::lower_conv(request_, options_); }

  Result operator()(const ConvBlock&) const { return cpu::lower_conv_block(request_); }

  Result operator()(const GroupNorm&) const { return cpu::lower_norm(request_); }
  Result operator()(const GroupNormPair&) const { return cpu::lower_norm(request_); }
  Result operator()(const WeightNorm&) const { return cpu::lower_norm(request_); }
  Result operator()(const GroupNormGrad&) const { return cpu::lower_norm(request_); }
  Result operator()(const BatchNorm&) const { return cpu::lower_norm(request_); }
  Result operator()(const BatchNormGrad&) const { return cpu::lower_norm(request_); }

  Result operator()(const Resize&) const { return cpu::lower_image(request_); }
  Result operator()(const ResizeGrad&) const { return cpu::lower_image(request_); }
  Result operator()(const UpsampleSum&) const { return cpu::lower_image(request_); }
  Result operator()(const AvgPool&) const { return cpu::lower_image(request_); }
  Result operator()(const AvgPoolGrad&) const { return cpu::lower_image(request_); }
  Result operator()(const MaxPool&) const { return cpu::lower_image(request_); }
  Result operator()(const WinnerGather&) const { return cpu::lower_image(request_); }
  Result operator()(const WinnerScatter&) const { return cpu::lower_image(request_); }

  Result operator()(const Gather&) const { return cpu::lower_loss(request_); }
  Result operator()(const GatherGrad&) const { return cpu::lower_loss(request_); }
  Result operator()(const OneHot&) const { return cpu::lower_loss(request_); }
  Result operator()(const SoftmaxCrossEntropy&) const { return cpu::lower_loss(request_); }

  Result operator()(const Random&) const { return cpu::lower_random(request_); }
  Result operator()(const SgdUpdate&) const { return cpu::lower_optimizer(request_); }
  Result operator()(const AdamUpdate&) const { return cpu::lower_optimizer(request_); }

  Result operator()(const Input&) const { return not_a_kernel(); }
  Result operator()(const Equilibrium&) const { return not_a_kernel(); }
  Result operator()(const ImplicitGradient&) const { return not_a_kernel(); }
  Result operator()(const LinearSolve&) const { return not_a_kernel(); }
  Result operator()(const StandIn&) const { return not_a_kernel(); }

 private:
  [[nodiscard]] Result not_a_kernel() const { cpu::no_kernel(request_, "programs run this op themselves"); }

  const KernelRequest& request_;
  const CpuOptions& options_;
};

}  // namespace

CpuBackend::CpuBackend(CpuOptions options) : options_(options) {}
CpuBackend::~CpuBackend() = default;

std::unique_ptr<Kernel> CpuBackend::lower(const KernelRequest& request) {
  return std::visit(Lowering(request, options_), request.op);
}

bool CpuBackend::may_overwrite(const Op& op, std::size_t input) const {
  // These kernels read what they need of an operand like the output before they write there: element by element, a
  // group or a channel at a time. Parameters of normalisations are read throughout, so they are left alone.
  if (std::holds_alternative<Unary>(op) || std::holds_alternative<Affine>(op) || std::holds_alternative<Binary>(op))
    return true;
  if (const auto* norm = std::get_if<GroupNorm>(&op)) return norm->may_overwrite(input);
  if (std::holds_alternative<GroupNormGrad>(op)) return input == 0 || input == 2;
  if (std::holds_alternative<BatchNormGrad>(op)) return input == 0 || input == 3;
  const bool is_update = std::holds_alternative<SgdUpdate>(op) || std::holds_alternative<AdamUpdate>(op);
  return (std::holds_alternative<BatchNorm>(op) || std::holds_alternative<UpsampleSum>(op) || is_update) && input == 0;
}

std::int64_t CpuBackend::packed_weight_bytes(const PackWeights& pack, const TensorType& weight) const {
  return cpu::packed_conv_weight_bytes(pack, weight, options_);
}

bool CpuBackend::packs_alike(const PackWeights& a, const PackWeights& b, const TensorType& weight) const {
  return cpu::packs_conv_alike(a, b, weight, options_);
}

bool CpuBackend::has_conv_block(const ConvBlock& block, const TensorType& x, const TensorType& first,
                                const TensorType& second) const {
  return options_.algorithm == ConvAlgorithm::bf16 && cpu::has_conv_block(block, x, first, second);
}

}  // namespace deq
