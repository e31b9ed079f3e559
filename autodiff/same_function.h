#pragma once

#include <span>

#include "core/graph.h"

namespace deq {

/// A traced function: results that depend on the values of its variables, and on what it captures.
struct TracedFunction {
  std::span<const Value> variables, results;
};

/// True when two traces in one graph are the same operations on the same captured values, whatever they call the states
/// of solves inside them. What does not depend on the variables of `a` must be the very nodes.
bool are_same_function(const Graph& graph, const TracedFunction& a, const TracedFunction& b);

}  // namespace deq
