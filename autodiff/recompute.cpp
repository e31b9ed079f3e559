#include "autodiff/recompute.h"

#include <algorithm>
#include <map>

namespace deq {
namespace {

/// Moves what depends on one adjoint solve over to a second evaluation of its f.
class Recomputation {
 public:
  Recomputation(Graph& graph, NodeId adjoint, NodeId equilibrium)
      : graph_(graph), adjoint_(adjoint), equilibrium_(equilibrium) {}

  /// To be called once.
  void run() {
    const NodeId end = graph_.size();
    const std::vector<std::uint8_t> linearisation = between_iterate_and_result();
    const std::vector<std::uint8_t> readers = dependents_of(adjoint_, end);
    iterate_after_adjoint();
    for (NodeId id = equilibrium_ + 1; id < adjoint_; ++id)
      if (linearisation[id] != 0) repeat(id);
    for (NodeId id = adjoint_ + 1; id < end; ++id)
      if (readers[id] != 0) repeat(id);
  }

  [[nodiscard]] Value moved(Value value) const {
    const auto found = moved_.find(value.ref);
    return found == moved_.end() ? value : found->second;
  }

 private:
  /// [node] 1 where a node before `end` depends on `source`.
  [[nodiscard]] std::vector<std::uint8_t> dependents_of(NodeId source, NodeId end) const {
    std::vector<std::uint8_t> out(end, 0);
    for (NodeId id = source + 1; id < end; ++id)
      out[id] = std::ranges::any_of(graph_.node(id).inputs,
                                    [&](const Ref& ref) { return ref.node == source || out[ref.node] != 0; });
    return out;
  }

  /// [node] 1 where a node depends on z* and f(z*) depends on it.
  [[nodiscard]] std::vector<std::uint8_t> between_iterate_and_result() const {
    const std::vector<std::uint8_t> after = dependents_of(equilibrium_, adjoint_);
    std::vector<std::uint8_t> out(adjoint_, 0);
    for (NodeId id = adjoint_; id-- > equilibrium_ + 1;) {
      const Node& node = graph_.node(id);
      const auto* gradient = std::get_if<ImplicitGradient>(&node.op);
      const bool is_end = gradient != nullptr && gradient->solve == equilibrium_;
      if (out[id] == 0 && !is_end) continue;
      const std::size_t results = is_end ? node.inputs.size() / 2 : node.inputs.size();
      for (std::size_t i = 0; i < results; ++i)
        if (after[node.inputs[i].node] != 0) out[node.inputs[i].node] = 1;
    }
    return out;
  }

  /// z* once more, as a value that there is only after u.
  void iterate_after_adjoint() {
    const ExactLabel label(graph_, graph_.node(equilibrium_).label);
    std::vector<Value> late;
    for (std::uint32_t i = 0; i < graph_.node(adjoint_).outputs.size(); ++i)
      late.push_back(
          graph_.add_one(StandIn{.waits = true}, {graph_.value({adjoint_, i}), graph_.value({equilibrium_, i})}));
    note(equilibrium_, late);
  }

  /// Weights of convolutions get another name, so that a backend that packs them does so once more: a packed form
  /// would otherwise be kept from the solve on.
  void repeat(NodeId id) {
    const Node node = graph_.node(id);
    const ExactLabel label(graph_, node.label);
    std::vector<Value> inputs;
    for (const Ref& ref : node.inputs) inputs.push_back(moved(graph_.value(ref)));
    if (std::holds_alternative<Conv2d>(node.op) && inputs[1].ref == node.inputs[1])
      inputs[1] = graph_.add_one(Reshape{inputs[1].shape()}, {inputs[1]});
    note(id, graph_.add(node.op, std::span<const Value>(inputs)));
  }

  void note(NodeId id, const std::vector<Value>& outputs) {
    for (std::uint32_t i = 0; i < outputs.size(); ++i) moved_[{id, i}] = outputs[i];
  }

  Graph& graph_;
  NodeId adjoint_, equilibrium_;
  std::map<Ref, Value> moved_;
};

}  // namespace

std::vector<Value> recomputed(std::span<const Value> gradients) {
  std::vector<Value> out(gradients.begin(), gradients.end());
  const auto first = std::ranges::find_if(out, [](const Value& value) { return !value.is_empty(); });
  if (first == out.end()) return out;
  Graph& graph = first->owner("recomputed");
  for (NodeId id = 0; id < graph.size(); ++id) {
    const auto* solve = std::get_if<LinearSolve>(&graph.node(id).op);
    if (solve != nullptr && solve->is_leaf) return out;
  }
  for (NodeId id = 0; id < graph.size(); ++id) {  // grows: an adjoint that depends on another one is repeated as well
    const Op op = graph.node(id).op;
    const auto* adjoint = std::get_if<LinearSolve>(&op);
    if (adjoint == nullptr || !graph.region(adjoint->region).results.empty()) continue;
    Recomputation recomputation(graph, id, adjoint->equilibrium);
    recomputation.run();
    for (Value& value : out)
      if (!value.is_empty()) value = recomputation.moved(value);
  }
  return out;
}

}  // namespace deq
