#include "autodiff/vjp.h"

#include <algorithm>
#include <map>
#include <set>
#include <type_traits>

#include "autodiff/rules/rule.h"
#include "core/builder.h"

namespace deq {
namespace {

bool is_leaf(const Op& op) {
  if (const auto* solve = std::get_if<LinearSolve>(&op)) return solve->is_leaf;
  return std::visit([](const auto& alternative) { return kIsLeaf<std::remove_cvref_t<decltype(alternative)>>; }, op);
}

InputCotangents apply_rule(const Op& op, const RuleContext& context) {
  return std::visit(
      [&](const auto& alternative) -> InputCotangents {
        if constexpr (kIsLeaf<std::remove_cvref_t<decltype(alternative)>>) {
          return {};
        } else {
          return vjp_rule(alternative, context);
        }
      },
      op);
}

std::span<const Value> as_span(std::initializer_list<Value> values) { return {values.begin(), values.size()}; }

/// One backward walk. Nodes that rules add meanwhile lie behind `size_` and are never visited.
class Walk {
 public:
  Walk(Graph& graph, std::span<const Value> wrt, DerivativeOptions options)
      : graph_(graph), size_(graph.size()), options_(options) {
    for (const Value& value : wrt) wrt_.insert(value.ref);
    mark_dependent();
  }

  void add_cotangent(Ref ref, Value cotangent) {
    Value& sum = cotangents_[ref];
    sum = sum.is_empty() ? cotangent : sum + cotangent;
  }

  /// A cotangent here would reach one of the variables.
  [[nodiscard]] bool wants(Ref ref) const {
    return wrt_.contains(ref) || (ref.node < size_ && is_dependent_[ref.node] && is_float(graph_.type(ref).dtype));
  }

  void run() {
    for (NodeId id = size_; id-- > 0;) {
      if (is_dependent_[id]) visit(id);
    }
  }

  [[nodiscard]] Value result(Ref ref) const {
    const auto found = cotangents_.find(ref);
    return found == cotangents_.end() ? Value{} : found->second;
  }

 private:
  /// is_dependent_[n]: an input of node n is a variable or depends on one. Inputs precede users.
  void mark_dependent() {
    is_dependent_.assign(size_, false);
    for (NodeId id = 0; id < size_; ++id) {
      const Node& node = graph_.node(id);
      if (is_leaf(node.op)) {
        is_dependent_[id] = is_hidden(node.op);
        continue;
      }
      is_dependent_[id] = std::any_of(node.inputs.begin(), node.inputs.end(), [&](Ref input) { return wants(input); });
    }
  }

  /// A solve that depends on a variable and whose graph has no ImplicitGradient to say how.
  [[nodiscard]] bool is_hidden(const Op& op) const {
    const auto* solve = std::get_if<Equilibrium>(&op);
    if (solve == nullptr || graph_.mode() == Mode::training) return false;
    return std::ranges::any_of(graph_.region(solve->region).results, [&](Ref result) { return wants(result); });
  }

  void visit(NodeId id) {
    // Copied: rules add nodes, which moves the graph's nodes in memory.
    const Node node = graph_.node(id);
    RuleContext context{.graph = graph_,
                        .node = id,
                        .inputs = {},
                        .outputs = {},
                        .cotangents = {},
                        .needs = {},
                        .is_differentiable = options_.differentiable,
                        .wants = [this](Ref ref) { return wants(ref); },
                        .is_variable = [this](Ref ref) { return wrt_.contains(ref); },
                        .pass = [this](Ref ref, Value cotangent) { add_cotangent(ref, cotangent); }};
    bool has_cotangent = false;
    for (std::uint32_t i = 0; i < node.outputs.size(); ++i) {
      const Ref output{id, i};
      context.outputs.push_back(graph_.value(output));
      // A variable keeps its cotangent to itself.
      context.cotangents.push_back(wrt_.contains(output) ? Value{} : result(output));
      has_cotangent = has_cotangent || !context.cotangents.back().is_empty();
    }
    if (!has_cotangent) return;
    check(!is_leaf(node.op), "vjp",
          "the gradient passes an equilibrium, which only training graphs can differentiate: ",
          "trace it in a Graph(Mode::training) (layer '", node.label, "')");
    for (const Ref input : node.inputs) {
      context.inputs.push_back(graph_.value(input));
      context.needs.push_back(wants(input));
    }

    const ExactLabel label(graph_, node.label);
    const InputCotangents out = apply_rule(node.op, context);
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (!out[i].is_empty() && context.needs[i]) add_cotangent(node.inputs[i], out[i]);
    }
  }

  Graph& graph_;
  NodeId size_;
  DerivativeOptions options_;
  std::set<Ref> wrt_;
  std::vector<bool> is_dependent_;
  std::map<Ref, Value> cotangents_;
};

}  // namespace

std::vector<Value> vjp(std::span<const Value> outputs, std::span<const Value> cotangents, std::span<const Value> wrt,
                       DerivativeOptions options) {
  check(outputs.size() == cotangents.size(), "vjp", outputs.size(), " outputs but ", cotangents.size(), " cotangents");
  if (outputs.empty()) return std::vector<Value>(wrt.size());
  Graph& graph = outputs.front().owner("vjp");
  for (std::size_t j = 0; j < wrt.size(); ++j) {
    check(&wrt[j].owner("vjp") == &graph, "vjp", "variable ", j, " belongs to another graph");
    check(is_float(wrt[j].type().dtype), "vjp", "variable ", j, " is ", wrt[j].type(), ", which has no derivative");
  }

  Walk walk(graph, wrt, options);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    check(&outputs[i].owner("vjp") == &graph, "vjp", "output ", i, " belongs to another graph");
    if (cotangents[i].is_empty()) continue;
    check(cotangents[i].graph == &graph, "vjp", "cotangent ", i, " belongs to another graph");
    check(outputs[i].type() == cotangents[i].type(), "vjp", "output ", i, " is ", outputs[i].type(),
          " but its cotangent is ", cotangents[i].type());
    if (walk.wants(outputs[i].ref)) walk.add_cotangent(outputs[i].ref, cotangents[i]);
  }
  walk.run();

  std::vector<Value> results;
  results.reserve(wrt.size());
  for (const Value& value : wrt) results.push_back(walk.result(value.ref));
  return results;
}

std::vector<Value> gradients(Value scalar_loss, std::span<const Value> wrt, DerivativeOptions options) {
  Graph& graph = scalar_loss.owner("gradients");
  const TensorType type = scalar_loss.type();
  check(type.shape == Shape{} && is_float(type.dtype), "gradients", "the loss is ", type, ", expected a float scalar");
  const Value one = constant(graph, 1, type.shape, type.dtype);
  return vjp(std::span(&scalar_loss, 1), std::span(&one, 1), wrt, options);
}

std::vector<Value> gradients_or_zeros(Value scalar_loss, std::span<const Value> wrt, DerivativeOptions options) {
  std::vector<Value> results = gradients(scalar_loss, wrt, options);
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].is_empty())
      results[i] = constant(wrt[i].owner("gradients_or_zeros"), 0, wrt[i].shape(), wrt[i].type().dtype);
  }
  return results;
}

std::vector<Value> vjp(std::initializer_list<Value> outputs, std::initializer_list<Value> cotangents,
                       std::initializer_list<Value> wrt, DerivativeOptions options) {
  return vjp(as_span(outputs), as_span(cotangents), as_span(wrt), options);
}

std::vector<Value> gradients(Value scalar_loss, std::initializer_list<Value> wrt, DerivativeOptions options) {
  return gradients(scalar_loss, as_span(wrt), options);
}

std::vector<Value> gradients_or_zeros(Value scalar_loss, std::initializer_list<Value> wrt, DerivativeOptions options) {
  return gradients_or_zeros(scalar_loss, as_span(wrt), options);
}

}  // namespace deq
