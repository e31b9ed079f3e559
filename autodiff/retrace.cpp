#include "autodiff/retrace.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/composed.h"

namespace deq {
namespace {

class Retrace {
 public:
  Retrace(Graph& graph, std::span<const Value> from, std::span<const Value> to, const std::function<bool(Ref)>& is_kept)
      : graph_(graph), is_kept_(is_kept) {
    for (std::size_t i = 0; i < from.size(); ++i) moved_[from[i].ref] = to[i];
  }

  Retraced run(std::span<const Value> results) {
    const std::vector<NodeId> nodes = between(results);
    for (const NodeId id : nodes) repeat(id);
    Retraced out;
    for (const Value& value : results) out.results.push_back(operand(value.ref));
    for (const Ref ref : operands_) out.operands.push_back(graph_.value(ref));
    return out;
  }

 private:
  [[nodiscard]] bool moves(Ref ref, const std::vector<std::uint8_t>& depends) const {
    return !is_kept_(ref) && (moved_.contains(ref) || depends[ref.node] != 0);
  }

  /// Nodes that depend on what moves and that `results` depend on, in order.
  [[nodiscard]] std::vector<NodeId> between(std::span<const Value> results) const {
    NodeId end = 0;
    for (const Value& value : results) end = std::max(end, value.ref.node + 1);
    const std::vector<std::uint8_t> depends = dependents(end);
    std::vector<std::uint8_t> is_needed(end, 0);
    const auto need = [&](Ref ref) {
      if (moves(ref, depends)) is_needed[ref.node] = 1;
    };
    for (const Value& value : results) need(value.ref);
    std::vector<NodeId> out;
    for (NodeId id = end; id-- > 0;) {
      if (is_needed[id] == 0 || depends[id] == 0) continue;
      out.push_back(id);
      if (std::holds_alternative<Equilibrium>(graph_.node(id).op)) continue;
      for (const Ref& ref : graph_.node(id).inputs) need(ref);
    }
    std::ranges::reverse(out);
    return out;
  }

  /// [node] 1 where a node depends on what moves; an equilibrium also where its f reads the same bytes by another name.
  [[nodiscard]] std::vector<std::uint8_t> dependents(NodeId end) const {
    std::set<NodeId> sources;
    for (const auto& [ref, value] : moved_) sources.insert(named(ref).node);
    std::vector<std::uint8_t> out(end, 0), reads(end, 0);
    for (NodeId id = 0; id < end; ++id) {
      const Node& node = graph_.node(id);
      const auto reads_source = [&](Ref ref) { return sources.contains(ref.node) || reads[ref.node] != 0; };
      reads[id] = std::ranges::any_of(node.inputs, reads_source);
      out[id] = std::ranges::any_of(node.inputs, [&](Ref ref) { return moves(ref, out); });
      if (const auto* solve = std::get_if<Equilibrium>(&node.op); solve != nullptr && out[id] == 0)
        out[id] = std::ranges::any_of(graph_.region(solve->region).results, reads_source);
    }
    return out;
  }

  /// The value whose bytes `ref` is.
  [[nodiscard]] Ref named(Ref ref) const {
    while (std::holds_alternative<StandIn>(graph_.node(ref).op)) ref = graph_.node(ref).inputs[1];
    return ref;
  }

  void repeat(NodeId id) {
    const Node node = graph_.node(id);  // by value: adding moves nodes
    if (std::holds_alternative<Equilibrium>(node.op)) {
      for (std::uint32_t i = 0; i < node.outputs.size(); ++i)
        if (!is_kept_({id, i})) moved_.try_emplace({id, i}, detach(graph_.value({id, i})));
      return;
    }
    const ExactLabel label(graph_, node.label);
    std::vector<Value> inputs;
    for (const Ref& ref : node.inputs) inputs.push_back(operand(ref));
    const std::vector<Value> outputs = graph_.add(node.op, inputs);
    for (std::uint32_t i = 0; i < outputs.size(); ++i)
      if (!is_kept_({id, i})) moved_[{id, i}] = outputs[i];
  }

  Value operand(Ref ref) {
    if (const auto found = moved_.find(ref); found != moved_.end()) return found->second;
    operands_.insert(ref);
    return graph_.value(ref);
  }

  Graph& graph_;
  const std::function<bool(Ref)>& is_kept_;
  std::map<Ref, Value> moved_;
  std::set<Ref> operands_;
};

}  // namespace

Retraced retrace(Graph& graph, std::span<const Value> results, std::span<const Value> from, std::span<const Value> to,
                 const std::function<bool(Ref)>& is_kept) {
  return Retrace(graph, from, to, is_kept).run(results);
}

}  // namespace deq
