#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/backend.h"

namespace deq::reference {

/// Addresses of a node's values while its kernel runs, in node order. No address is null: an output that nobody reads
/// gets memory of the kernel's own.
struct Operands {
  std::vector<const void*> inputs;
  std::vector<void*> outputs;

  [[nodiscard]] const double* in(std::size_t i) const { return static_cast<const double*>(inputs[i]); }
  [[nodiscard]] const std::int32_t* index(std::size_t i) const { return static_cast<const std::int32_t*>(inputs[i]); }
  [[nodiscard]] const std::byte* bytes(std::size_t i) const { return static_cast<const std::byte*>(inputs[i]); }
  [[nodiscard]] double* out(std::size_t i = 0) const { return static_cast<double*>(outputs[i]); }
  [[nodiscard]] std::int32_t* index_out(std::size_t i) const { return static_cast<std::int32_t*>(outputs[i]); }
  [[nodiscard]] std::byte* bytes_out(std::size_t i = 0) const { return static_cast<std::byte*>(outputs[i]); }
};

/// The computation of one node: shapes and attributes captured, addresses given.
using Body = std::function<void(const Operands&)>;

/// Type in which the reference backend keeps values of `dtype`.
constexpr DType stored(DType dtype) { return dtype == DType::f32 ? DType::f64 : dtype; }

/// Throws unless the node's float operands are f32 or f64, which are both kept as double.
void check_real(const KernelRequest& request);

// One overload per op; each family has its own source file. Shapes and formulas: core/op/*.h.
Body lower(const Constant& op, const KernelRequest& request);
Body lower(const Random& op, const KernelRequest& request);
Body lower(const Unary& op, const KernelRequest& request);
Body lower(const Binary& op, const KernelRequest& request);
Body lower(const Affine& op, const KernelRequest& request);
Body lower(const Copy& op, const KernelRequest& request);
Body lower(const Reshape& op, const KernelRequest& request);
Body lower(const Transpose& op, const KernelRequest& request);
Body lower(const Concat& op, const KernelRequest& request);
Body lower(const Slice& op, const KernelRequest& request);
Body lower(const Pad& op, const KernelRequest& request);
Body lower(const BroadcastTo& op, const KernelRequest& request);
Body lower(const Sum& op, const KernelRequest& request);
Body lower(const MatMul& op, const KernelRequest& request);
Body lower(const Conv2d& op, const KernelRequest& request);
Body lower(const Conv2dInputGrad& op, const KernelRequest& request);
Body lower(const Conv2dWeightGrad& op, const KernelRequest& request);
Body lower(const GroupNorm& op, const KernelRequest& request);
Body lower(const WeightNorm& op, const KernelRequest& request);
Body lower(const GroupNormGrad& op, const KernelRequest& request);
Body lower(const BatchNorm& op, const KernelRequest& request);
Body lower(const BatchNormGrad& op, const KernelRequest& request);
Body lower(const Resize& op, const KernelRequest& request);
Body lower(const ResizeGrad& op, const KernelRequest& request);
Body lower(const UpsampleSum& op, const KernelRequest& request);
Body lower(const AvgPool& op, const KernelRequest& request);
Body lower(const AvgPoolGrad& op, const KernelRequest& request);
Body lower(const MaxPool& op, const KernelRequest& request);
Body lower(const WinnerGather& op, const KernelRequest& request);
Body lower(const WinnerScatter& op, const KernelRequest& request);
Body lower(const Gather& op, const KernelRequest& request);
Body lower(const GatherGrad& op, const KernelRequest& request);
Body lower(const OneHot& op, const KernelRequest& request);
Body lower(const SoftmaxCrossEntropy& op, const KernelRequest& request);
Body lower(const SgdUpdate& op, const KernelRequest& request);
Body lower(const AdamUpdate& op, const KernelRequest& request);
// These have no kernel here and throw Error.
Body lower(const Input& op, const KernelRequest& request);
Body lower(const PackWeights& op, const KernelRequest& request);
Body lower(const ConvBlock& op, const KernelRequest& request);
Body lower(const GroupNormPair& op, const KernelRequest& request);
Body lower(const Equilibrium& op, const KernelRequest& request);
Body lower(const ImplicitGradient& op, const KernelRequest& request);
Body lower(const LinearSolve& op, const KernelRequest& request);
Body lower(const StandIn& op, const KernelRequest& request);

}  // namespace deq::reference
