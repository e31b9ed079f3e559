#pragma once

#include <initializer_list>
#include <span>
#include <vector>

#include "autodiff/vjp.h"

namespace deq {

/// Forward-mode derivative, graph to graph: sum_j d outputs[i] / d wrt[j] tangents[j] for every i, as values of the
/// same graph. Built as the derivative of u -> J^T u, which is linear, so every operation with a second derivative has
/// one; an equilibrium costs one solve of (I - J) x = b by the policy's adjoint method (Program::tangent_report).
///
/// `wrt` as in vjp. An empty tangent stands for zero; an empty result says that the output depends on none of `wrt`.
/// Errors: as vjp; a tangent is not typed like its variable.
std::vector<Value> jvp(std::span<const Value> outputs, std::span<const Value> wrt, std::span<const Value> tangents,
                       DerivativeOptions options = {});
std::vector<Value> jvp(std::initializer_list<Value> outputs, std::initializer_list<Value> wrt,
                       std::initializer_list<Value> tangents, DerivativeOptions options = {});

}  // namespace deq
