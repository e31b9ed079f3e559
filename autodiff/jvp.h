#pragma once

#include <initializer_list>
#include <span>
#include <vector>

#include "core/graph.h"

namespace deq {

/// Forward-mode derivative, graph to graph: sum_j d outputs[i] / d wrt[j] tangents[j] for every i, as values of the
/// same graph. Built as the derivative of u -> J^T u, which is linear, so every operation with a second derivative has
/// one.
///
/// `wrt` as in vjp. An empty tangent stands for zero; an empty result says that the output depends on none of `wrt`.
/// Errors: as vjp, an equilibrium between `wrt` and `outputs` among them; a tangent is not typed like its variable.
std::vector<Value> jvp(std::span<const Value> outputs, std::span<const Value> wrt, std::span<const Value> tangents);
std::vector<Value> jvp(std::initializer_list<Value> outputs, std::initializer_list<Value> wrt,
                       std::initializer_list<Value> tangents);

}  // namespace deq
