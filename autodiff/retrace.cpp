#include "autodiff/retrace.h"

#include <algorithm>
#include <map>
#include <set>

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
  /// Nodes that depend on what moves and that `results` depend on, in order.
  [[nodiscard]] std::vector<NodeId> between(std::span<const Value> results) const {
    NodeId end = 0;
    for (const Value& value : results) end = std::max(end, value.ref.node + 1);
    std::vector<std::uint8_t> depends(end, 0), is_needed(end, 0);
    const auto moves = [&](Ref ref) { return !is_kept_(ref) && (moved_.contains(ref) || depends[ref.node] != 0); };
    for (NodeId id = 0; id < end; ++id) depends[id] = std::ranges::any_of(graph_.node(id).inputs, moves);
    const auto need = [&](Ref ref) {
      if (moves(ref)) is_needed[ref.node] = 1;
    };
    for (const Value& value : results) need(value.ref);
    std::vector<NodeId> out;
    for (NodeId id = end; id-- > 0;) {
      if (is_needed[id] == 0 || depends[id] == 0) continue;
      out.push_back(id);
      for (const Ref& ref : graph_.node(id).inputs) need(ref);
    }
    std::ranges::reverse(out);
    return out;
  }

  void repeat(NodeId id) {
    const Node node = graph_.node(id);  // by value: adding moves nodes
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
