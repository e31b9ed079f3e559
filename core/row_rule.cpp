#include "core/row_rule.h"

#include <algorithm>
#include <concepts>

namespace deq {
namespace {

template <class T, class... Ops>
concept OneOf = (std::same_as<T, Ops> || ...);

/// The rule of every op, complete by construction as in infer.h.
class RowRules {
 public:
  using Readings = std::vector<Reading>;

  RowRules(const Graph& graph, const Node& node) : graph_(graph), node_(node) {}

  template <class T>
  requires OneOf<T, Unary, Affine, Copy, Reshape, Resize, ResizeGrad, UpsampleSum, AvgPool, AvgPoolGrad, MaxPool,
                 WinnerGather, WinnerScatter, OneHot, SoftmaxCrossEntropy, ImplicitGradient, StandIn>
      Readings operator()(const T&) const {
    return all_rows();
  }

  template <class T>
  requires OneOf<T, Input, Constant, Random, Conv2dWeightGrad, PackWeights, WeightNorm, BatchNorm, BatchNormGrad,
                 GatherGrad, SgdUpdate, AdamUpdate>
      Readings operator()(const T&) const {
    return {};
  }

  Readings operator()(const Binary&) const { return broadcast_rows(); }
  Readings operator()(const BroadcastTo&) const { return broadcast_rows(); }
  Readings operator()(const Transpose& op) const { return op.permutation.front() == 0 ? all_rows() : Readings{}; }
  template <class T>
  requires OneOf<T, Concat, Slice, Pad> Readings operator()(const T& op) const {
    return op.axis > 0 ? all_rows() : Readings{};
  }
  Readings operator()(const Sum& op) const { return op.axes.empty() || op.axes.front() > 0 ? all_rows() : Readings{}; }

  /// Leading axes are samples; a plain matrix has its rows for samples.
  Readings operator()(const MatMul& op) const {
    if (type(0).shape.rank() > 2) return all_rows();
    if (op.transpose_a) return {};
    return {Reading::rows, Reading::whole};
  }
  template <class T>
  requires OneOf<T, Conv2d, Conv2dInputGrad, ConvBlock> Readings operator()(const T&) const { return first_rows(1); }
  Readings operator()(const GroupNorm& op) const {
    Readings out = all_rows();
    if (op.affine) out[1] = out[2] = Reading::whole;
    return out;
  }
  Readings operator()(const GroupNormPair& op) const {
    Readings out = all_rows();
    if (op.first.affine) out[1] = out[2] = Reading::whole;
    if (op.second.affine) out[out.size() - 1] = out[out.size() - 2] = Reading::whole;
    return out;
  }
  Readings operator()(const GroupNormGrad&) const { return first_rows(3); }
  /// A solve inside f takes samples apart where its own map does.
  Readings operator()(const Equilibrium& op) const {
    return graph_.region(op.region).joint.empty() ? all_rows() : Readings{};
  }
  Readings operator()(const LinearSolve& op) const {
    const Node& solved = graph_.node(op.equilibrium);
    return (*this)(std::get<Equilibrium>(solved.op));
  }
  Readings operator()(const Gather&) const { return {Reading::whole, Reading::rows}; }

 private:
  [[nodiscard]] const TensorType& type(std::size_t operand) const { return graph_.type(node_.inputs[operand]); }
  [[nodiscard]] Readings all_rows() const { return Readings(node_.inputs.size(), Reading::rows); }
  [[nodiscard]] Readings first_rows(std::size_t count) const {
    Readings out(node_.inputs.size(), Reading::whole);
    std::fill_n(out.begin(), count, Reading::rows);
    return out;
  }
  /// An operand that is stretched along axis 0 is the same for all samples.
  [[nodiscard]] Readings broadcast_rows() const {
    const Shape& result = node_.outputs[0].shape;
    Readings out;
    for (std::size_t i = 0; i < node_.inputs.size(); ++i) {
      const Shape& shape = type(i).shape;
      const bool has_rows = shape.rank() == result.rank() && shape[0] == result[0];
      out.push_back(has_rows ? Reading::rows : Reading::whole);
    }
    return out;
  }

  const Graph& graph_;
  const Node& node_;
};

}  // namespace

std::vector<Reading> operand_readings(const Graph& graph, const Node& node) {
  return std::visit(RowRules(graph, node), node.op);
}

}  // namespace deq
