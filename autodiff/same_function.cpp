#include "autodiff/same_function.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace deq {
namespace {

/// Walks both traces from their results to their variables side by side.
class Comparison {
 public:
  explicit Comparison(const Graph& graph) : graph_(graph) {}

  bool run(const TracedFunction& a, const TracedFunction& b) {
    if (a.variables.size() != b.variables.size() || a.results.size() != b.results.size()) return false;
    for (std::size_t i = 0; i < a.variables.size(); ++i) bound_[a.variables[i].ref] = b.variables[i].ref;
    for (std::size_t i = 0; i < a.results.size(); ++i) pending_.emplace_back(a.results[i].ref, b.results[i].ref);
    while (!pending_.empty()) {
      const auto [left, right] = pending_.back();
      pending_.pop_back();
      if (!match(left, right)) return false;
    }
    return true;
  }

 private:
  bool match(Ref a, Ref b) {
    if (const auto bound = bound_.find(a); bound != bound_.end()) return bound->second == b;
    if (graph_.rate(a) < Rate::iterate) return a == b;
    if (a.output != b.output) return false;
    if (!seen_.insert({a.node, b.node}).second) return true;
    const Node &left = graph_.node(a), &right = graph_.node(b);
    if (std::holds_alternative<Input>(left.op)) return a == b;
    return enter(left.inputs, right.inputs) && match_ops(left.op, right.op);
  }

  bool enter(const std::vector<Ref>& a, const std::vector<Ref>& b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) pending_.emplace_back(a[i], b[i]);
    return true;
  }

  bool match_ops(const Op& a, const Op& b) {
    if (const auto* solve = std::get_if<Equilibrium>(&a)) {
      const auto* other = std::get_if<Equilibrium>(&b);
      return other != nullptr && solve->policy == other->policy && match_regions(solve->region, other->region);
    }
    if (const auto* solve = std::get_if<LinearSolve>(&a)) {
      const auto* other = std::get_if<LinearSolve>(&b);
      return other != nullptr && solve->system == other->system && solve->is_leaf == other->is_leaf &&
             match({solve->equilibrium, 0}, {other->equilibrium, 0}) && match_regions(solve->region, other->region);
    }
    if (const auto* gradient = std::get_if<ImplicitGradient>(&a)) {
      const auto* other = std::get_if<ImplicitGradient>(&b);
      return other != nullptr && match({gradient->solve, 0}, {other->solve, 0});
    }
    return a == b;
  }

  bool match_regions(RegionId a, RegionId b) {
    const Region &left = graph_.region(a), &right = graph_.region(b);
    if (left.states.size() != right.states.size()) return false;
    for (std::size_t i = 0; i < left.states.size(); ++i) bound_[left.states[i]] = right.states[i];
    return enter(left.results, right.results);
  }

  const Graph& graph_;
  std::map<Ref, Ref> bound_;  ///< variables of a, and states of its solves, with what stands for them in b
  std::set<std::pair<NodeId, NodeId>> seen_;
  std::vector<std::pair<Ref, Ref>> pending_;
};

}  // namespace

bool are_same_function(const Graph& graph, const TracedFunction& a, const TracedFunction& b) {
  return Comparison(graph).run(a, b);
}

}  // namespace deq
