#pragma once

#include "core/cuda/lowering.h"

namespace deq::cuda {

/// Sends each op to the factory of its family. `Families` has one member function a family, taking the request; an op
/// without a case here does not compile.
template <class Families>
class Dispatch {
 public:
  using Result = std::unique_ptr<Kernel>;

  Dispatch(const KernelRequest& request, Families families) : request_(request), families_(families) {}

  Result operator()(const Constant&) const { return families_.elementwise(request_); }
  Result operator()(const Unary&) const { return families_.elementwise(request_); }
  Result operator()(const Binary&) const { return families_.elementwise(request_); }
  Result operator()(const Affine&) const { return families_.elementwise(request_); }
  Result operator()(const Copy&) const { return families_.elementwise(request_); }

  Result operator()(const Reshape&) const { return families_.shape(request_); }
  Result operator()(const Transpose&) const { return families_.shape(request_); }
  Result operator()(const Concat&) const { return families_.shape(request_); }
  Result operator()(const Slice&) const { return families_.shape(request_); }
  Result operator()(const Pad&) const { return families_.shape(request_); }
  Result operator()(const BroadcastTo&) const { return families_.shape(request_); }
  Result operator()(const Sum&) const { return families_.sum(request_); }

  Result operator()(const MatMul&) const { return families_.matmul(request_); }
  Result operator()(const Conv2d&) const { return families_.conv(request_); }
  Result operator()(const Conv2dInputGrad&) const { return families_.conv(request_); }
  Result operator()(const Conv2dWeightGrad&) const { return families_.conv(request_); }
  Result operator()(const PackWeights&) const { return families_.pack(request_); }
  Result operator()(const ConvBlock&) const { return not_a_kernel(); }

  Result operator()(const GroupNorm&) const { return families_.norm(request_); }
  Result operator()(const GroupNormPair&) const { return families_.norm(request_); }
  Result operator()(const WeightNorm&) const { return families_.norm(request_); }
  Result operator()(const GroupNormGrad&) const { return families_.norm(request_); }
  Result operator()(const BatchNorm&) const { return families_.norm(request_); }
  Result operator()(const BatchNormGrad&) const { return families_.norm(request_); }

  Result operator()(const Resize&) const { return families_.image(request_); }
  Result operator()(const ResizeGrad&) const { return families_.image(request_); }
  Result operator()(const UpsampleSum&) const { return families_.image(request_); }
  Result operator()(const AvgPool&) const { return families_.image(request_); }
  Result operator()(const AvgPoolGrad&) const { return families_.image(request_); }
  Result operator()(const MaxPool&) const { return families_.image(request_); }
  Result operator()(const WinnerGather&) const { return families_.image(request_); }
  Result operator()(const WinnerScatter&) const { return families_.image(request_); }

  Result operator()(const Gather&) const { return families_.loss(request_); }
  Result operator()(const GatherGrad&) const { return families_.loss(request_); }
  Result operator()(const OneHot&) const { return families_.loss(request_); }
  Result operator()(const SoftmaxCrossEntropy&) const { return families_.loss(request_); }

  Result operator()(const Random&) const { return families_.random(request_); }
  Result operator()(const SgdUpdate&) const { return families_.update(request_); }
  Result operator()(const AdamUpdate&) const { return families_.update(request_); }

  Result operator()(const Input&) const { return not_a_kernel(); }
  Result operator()(const Equilibrium&) const { return not_a_kernel(); }
  Result operator()(const ImplicitGradient&) const { return not_a_kernel(); }
  Result operator()(const LinearSolve&) const { return not_a_kernel(); }
  Result operator()(const StandIn&) const { return not_a_kernel(); }

 private:
  [[nodiscard]] Result not_a_kernel() const { no_kernel(request_, "programs run this op themselves"); }

  const KernelRequest& request_;
  Families families_;
};

/// Kernel of a node through `families`. Errors: a tensor that is too large, an op or type without a kernel.
template <class Families>
std::unique_ptr<Kernel> lower_through(const KernelRequest& request, Families families) {
  check_sizes(request);
  return std::visit(Dispatch<Families>(request, families), request.op);
}

/// True when our kernels read what they need of `input` like the output before they write there. Parameters of
/// normalisations are read throughout, so they are left alone.
inline bool overwrites(const Op& op, std::size_t input) {
  if (std::holds_alternative<Unary>(op) || std::holds_alternative<Affine>(op) || std::holds_alternative<Binary>(op))
    return true;
  if (const auto* norm = std::get_if<GroupNorm>(&op)) return norm->may_overwrite(input);
  if (const auto* pair = std::get_if<GroupNormPair>(&op)) return pair->may_overwrite(input);
  if (std::holds_alternative<GroupNormGrad>(op)) return input == 0 || input == 2;
  if (std::holds_alternative<BatchNormGrad>(op)) return input == 0 || input == 3;
  const bool is_update = std::holds_alternative<SgdUpdate>(op) || std::holds_alternative<AdamUpdate>(op);
  return (std::holds_alternative<BatchNorm>(op) || std::holds_alternative<UpsampleSum>(op) || is_update) && input == 0;
}

}  // namespace deq::cuda
