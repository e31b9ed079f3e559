#pragma once

#include <string>
#include <vector>

#include "core/graph.h"

namespace deq {

/// The shape rule of every op, one overload each; std::visit over it is complete by construction.
/// A rule returns the output types or throws an Error that names the op, the operand types and the layer.
class InferRules {
 public:
  InferRules(std::string_view op, std::span<const TensorType> inputs, const std::string& label)
      : op_(op), in_(inputs), label_(label) {}

  using Types = std::vector<TensorType>;
  Types operator()(const Input& op) const;
  Types operator()(const Constant& op) const;
  Types operator()(const Random& op) const;
  Types operator()(const Unary& op) const;
  Types operator()(const Binary& op) const;
  Types operator()(const Affine& op) const;
  Types operator()(const Copy& op) const;
  Types operator()(const Reshape& op) const;
  Types operator()(const Transpose& op) const;
  Types operator()(const Concat& op) const;
  Types operator()(const Slice& op) const;
  Types operator()(const Pad& op) const;
  Types operator()(const BroadcastTo& op) const;
  Types operator()(const Sum& op) const;
  Types operator()(const MatMul& op) const;
  Types operator()(const Conv2d& op) const;
  Types operator()(const Conv2dInputGrad& op) const;
  Types operator()(const Conv2dWeightGrad& op) const;
  Types operator()(const PackWeights& op) const;
  Types operator()(const ConvBlock& op) const;
  Types operator()(const GroupNorm& op) const;
  Types operator()(const GroupNormPair& op) const;
  Types operator()(const WeightNorm& op) const;
  Types operator()(const GroupNormGrad& op) const;
  Types operator()(const BatchNorm& op) const;
  Types operator()(const BatchNormGrad& op) const;
  Types operator()(const Resize& op) const;
  Types operator()(const ResizeGrad& op) const;
  Types operator()(const UpsampleSum& op) const;
  Types operator()(const AvgPool& op) const;
  Types operator()(const AvgPoolGrad& op) const;
  Types operator()(const MaxPool& op) const;
  Types operator()(const WinnerGather& op) const;
  Types operator()(const WinnerScatter& op) const;
  Types operator()(const Gather& op) const;
  Types operator()(const GatherGrad& op) const;
  Types operator()(const OneHot& op) const;
  Types operator()(const SoftmaxCrossEntropy& op) const;
  Types operator()(const SgdUpdate& op) const;
  Types operator()(const AdamUpdate& op) const;
  Types operator()(const Equilibrium& op) const;
  Types operator()(const ImplicitGradient& op) const;
  Types operator()(const LinearSolve& op) const;
  Types operator()(const StandIn& op) const;

 private:
  /// Throws with the op's name, the reason, all operand types and the layer.
  template <class... Parts>
  void expect(bool holds, const Parts&... reason) const {
    if (!holds) [[unlikely]]
      fail(concat(reason...));
  }
  [[noreturn]] void fail(const std::string& reason) const;
  void expect_count(std::size_t least, std::size_t most) const;
  void expect_float(std::size_t input) const;
  void expect_image(std::size_t input) const;
  /// [C] vectors behind the first `first` operands, one per affine parameter.
  void expect_channel_vector(std::size_t input, std::int64_t channels) const;
  [[nodiscard]] std::int64_t conv_extent(const char* axis, std::int64_t in, std::int64_t kernel, int stride,
                                         int pad) const;
  /// Checks [Cout,Cin/groups,Kh,Kw] against the image channels and the attributes.
  void expect_conv(const Conv2d& op, const Shape& image, const Shape& weight) const;
  [[nodiscard]] Shape conv_output(const Conv2d& op, const Shape& image, const Shape& weight) const;
  [[nodiscard]] Shape pool_output(int kernel, int stride, int pad) const;

  std::string_view op_;
  std::span<const TensorType> in_;
  const std::string& label_;
};

/// Shape of a and b broadcast together (NumPy rules); false when they do not fit.
bool broadcast(const Shape& a, const Shape& b, Shape& out);

}  // namespace deq
