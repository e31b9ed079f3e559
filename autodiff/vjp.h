#pragma once

#include <initializer_list>
#include <span>
#include <vector>

#include "core/graph.h"

namespace deq {

struct DerivativeOptions {
  /// The result can be differentiated again where it passed an equilibrium, too; PyTorch calls it create_graph. That
  /// derivative then solves with I - J and its transpose there, as the policy's estimator does.
  bool differentiable = false;
};

/// Reverse-mode derivative, graph to graph: sum_i cotangents[i]^T d outputs[i] / d wrt[j] for every j, as values of the
/// same graph. The result can be differentiated again, where it passed an equilibrium if it was made for that.
///
/// `wrt` are taken as independent variables, whatever computes them: the walk stops there. They may be any float
/// values, e.g. parameters or the z* outputs of an Equilibrium node. Only nodes between `wrt` and `outputs` are
/// visited, and a rule builds no cotangent that nobody asked for. New nodes carry the label of the node they
/// differentiate.
///
/// An empty cotangent stands for zero. An empty result says that no output depends on that value.
/// Errors: sizes differ; an output or a variable is empty or of another graph; a cotangent is not typed like its
/// output; an operation in between cannot be differentiated (fused, packed and optimiser nodes, a gradient that passed
/// an equilibrium and was not made to be differentiated, an equilibrium of an inference graph).
std::vector<Value> vjp(std::span<const Value> outputs, std::span<const Value> cotangents, std::span<const Value> wrt,
                       DerivativeOptions options = {});
std::vector<Value> vjp(std::initializer_list<Value> outputs, std::initializer_list<Value> cotangents,
                       std::initializer_list<Value> wrt, DerivativeOptions options = {});

/// Gradient of a scalar in every `wrt`; as vjp with cotangent 1, so empty where the loss does not depend on it.
/// Errors: `scalar_loss` is not a float scalar.
std::vector<Value> gradients(Value scalar_loss, std::span<const Value> wrt, DerivativeOptions options = {});
std::vector<Value> gradients(Value scalar_loss, std::initializer_list<Value> wrt, DerivativeOptions options = {});

/// As `gradients`, with zeros for values that the loss does not depend on.
std::vector<Value> gradients_or_zeros(Value scalar_loss, std::span<const Value> wrt, DerivativeOptions options = {});
std::vector<Value> gradients_or_zeros(Value scalar_loss, std::initializer_list<Value> wrt,
                                      DerivativeOptions options = {});

}  // namespace deq
