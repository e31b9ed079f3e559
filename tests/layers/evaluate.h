#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/fixed_point.h"
#include "core/graph.h"
#include "core/interpreter.h"

namespace deq::layers_tests {

/// The outputs' elements, computed in double on the reference backend.
std::vector<std::vector<double>> evaluate_all(std::span<const Value> outputs, const Bindings& bindings = {});
std::vector<double> evaluate(Value output, const Bindings& bindings = {});

/// f32 with elements a smooth function of their index and of `phase`: between -1 and 1, all different.
Tensor wave(Shape shape, double phase = 0.3);

/// Largest absolute difference; infinite when the lengths differ.
double max_difference(const std::vector<double>& a, const std::vector<double>& b);

/// A policy that can be traced but never run.
std::shared_ptr<const EquilibriumPolicy> traced_policy();

/// Nodes of `graph` whose op is an `OpType`.
template <class OpType>
std::vector<NodeId> nodes_with(const Graph& graph) {
  std::vector<NodeId> found;
  for (NodeId id = 0; id < graph.size(); ++id)
    if (std::holds_alternative<OpType>(graph.node(id).op)) found.push_back(id);
  return found;
}

}  // namespace deq::layers_tests
