#pragma once

#include <concepts>
#include <functional>
#include <utility>
#include <vector>

#include "core/graph.h"

// One overload of `vjp_rule` per operation, defined in the file of its family in this folder. The walk
// (autodiff/vjp.cpp) visits the variant without a catch-all, so an operation without a rule does not compile.

namespace deq {

/// What a rule may use. The walk calls a rule only when at least one output has a cotangent and at least one input
/// wants one, so cotangents[0] of a single-output operation is never empty.
struct RuleContext {
  Graph& graph;
  NodeId node;
  std::vector<Value> inputs;
  std::vector<Value> outputs;
  std::vector<Value> cotangents;         ///< one per output; empty: zero
  std::vector<bool> needs;               ///< one per input: somebody wants its cotangent
  bool is_differentiable = false;        ///< DerivativeOptions::differentiable
  std::function<bool(Ref)> wants;        ///< a cotangent of this value would reach a variable
  std::function<bool(Ref)> is_variable;  ///< the walk stops at this value
  std::function<void(Ref, Value)> pass;  ///< adds to the cotangent of a value that comes before the node
};

/// One per input; empty: zero, or not needed.
using InputCotangents = std::vector<Value>;

/// Returned by the rules of operations that no cotangent passes: values from outside, draws, one-hot rows and solves.
struct NoDerivative {};

NoDerivative vjp_rule(const Input& op, const RuleContext& context);
NoDerivative vjp_rule(const Constant& op, const RuleContext& context);
NoDerivative vjp_rule(const Random& op, const RuleContext& context);
NoDerivative vjp_rule(const OneHot& op, const RuleContext& context);
/// z* is a leaf: gradients of the fixed point enter through ImplicitGradient.
NoDerivative vjp_rule(const Equilibrium& op, const RuleContext& context);

InputCotangents vjp_rule(const Unary& op, const RuleContext& context);
InputCotangents vjp_rule(const Binary& op, const RuleContext& context);
InputCotangents vjp_rule(const Affine& op, const RuleContext& context);
InputCotangents vjp_rule(const Copy& op, const RuleContext& context);

InputCotangents vjp_rule(const Reshape& op, const RuleContext& context);
InputCotangents vjp_rule(const Transpose& op, const RuleContext& context);
InputCotangents vjp_rule(const Concat& op, const RuleContext& context);
InputCotangents vjp_rule(const Slice& op, const RuleContext& context);
InputCotangents vjp_rule(const Pad& op, const RuleContext& context);
InputCotangents vjp_rule(const BroadcastTo& op, const RuleContext& context);
InputCotangents vjp_rule(const Sum& op, const RuleContext& context);

InputCotangents vjp_rule(const MatMul& op, const RuleContext& context);
InputCotangents vjp_rule(const Conv2d& op, const RuleContext& context);
InputCotangents vjp_rule(const Conv2dInputGrad& op, const RuleContext& context);
InputCotangents vjp_rule(const Conv2dWeightGrad& op, const RuleContext& context);

/// Errors: fused neighbours are set, which only rewrites after differentiation do.
InputCotangents vjp_rule(const GroupNorm& op, const RuleContext& context);
InputCotangents vjp_rule(const GroupNormGrad& op, const RuleContext& context);
InputCotangents vjp_rule(const BatchNorm& op, const RuleContext& context);
InputCotangents vjp_rule(const BatchNormGrad& op, const RuleContext& context);

InputCotangents vjp_rule(const Resize& op, const RuleContext& context);
InputCotangents vjp_rule(const ResizeGrad& op, const RuleContext& context);
InputCotangents vjp_rule(const AvgPool& op, const RuleContext& context);
InputCotangents vjp_rule(const AvgPoolGrad& op, const RuleContext& context);
InputCotangents vjp_rule(const MaxPool& op, const RuleContext& context);
InputCotangents vjp_rule(const WinnerGather& op, const RuleContext& context);
InputCotangents vjp_rule(const WinnerScatter& op, const RuleContext& context);

InputCotangents vjp_rule(const Gather& op, const RuleContext& context);
InputCotangents vjp_rule(const GatherGrad& op, const RuleContext& context);
InputCotangents vjp_rule(const SoftmaxCrossEntropy& op, const RuleContext& context);

/// Emits the LinearSolve; to be differentiable, passes to the operands of f what else would pass to y. See
/// rules/implicit.cpp.
InputCotangents vjp_rule(const ImplicitGradient& op, const RuleContext& context);
/// Error: the gradient was not made to be differentiated again.
InputCotangents vjp_rule(const LinearSolve& op, const RuleContext& context);
InputCotangents vjp_rule(const StandIn& op, const RuleContext& context);

/// Errors, always: these appear after differentiation.
InputCotangents vjp_rule(const PackWeights& op, const RuleContext& context);
InputCotangents vjp_rule(const ConvBlock& op, const RuleContext& context);
InputCotangents vjp_rule(const WeightNorm& op, const RuleContext& context);
InputCotangents vjp_rule(const GroupNormPair& op, const RuleContext& context);
InputCotangents vjp_rule(const UpsampleSum& op, const RuleContext& context);
InputCotangents vjp_rule(const SgdUpdate& op, const RuleContext& context);
InputCotangents vjp_rule(const AdamUpdate& op, const RuleContext& context);

/// T has a rule of its own (not one reached by conversion).
template <class T>
concept HasRule = requires(const T& op, const RuleContext& context) {
  vjp_rule(op, context);
};

/// No cotangent passes T.
template <HasRule T>
inline constexpr bool kIsLeaf =
    std::same_as<decltype(vjp_rule(std::declval<const T&>(), std::declval<const RuleContext&>())), NoDerivative>;

}  // namespace deq
