#include "core/rebatch.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/live_nodes.h"
#include "core/pack.h"
#include "core/row_rule.h"

namespace deq {
namespace {

/// Nodes that the results need and that depend on the states, those of solves inside included, in topological order.
std::vector<NodeId> loop_nodes(const Graph& graph, const Region& region) {
  std::set<NodeId> found;
  std::vector<NodeId> pending;
  const auto visit = [&](Ref ref) {
    const bool is_input = std::holds_alternative<Input>(graph.node(ref).op);
    if (graph.rate(ref) >= Rate::iterate && !is_input && found.insert(ref.node).second) pending.push_back(ref.node);
  };
  for (const Ref& ref : region.results) visit(ref);
  while (!pending.empty()) {
    const NodeId id = pending.back();
    pending.pop_back();
    for (const Ref& ref : graph.node(id).inputs) visit(ref);
    for (const RegionId inside : regions_of(graph.node(id).op))
      for (const Ref& ref : graph.region(inside).results) visit(ref);
  }
  return {found.begin(), found.end()};
}

/// True when axis 0 can hold the same number of rows for each of `batch` samples.
bool may_hold_samples(const TensorType& type, std::int64_t batch) {
  return type.shape.rank() > 0 && type.shape[0] > 0 && type.shape[0] % batch == 0;
}

bool is_parameter_gradient(const Node& node, std::uint32_t output) {
  return std::holds_alternative<GroupNormGrad>(node.op) && output > 0;
}

}  // namespace

std::string why_joint(const Graph& graph, const Region& region) {
  const std::int64_t batch = graph.type(region.states.front()).shape[0];
  if (batch <= 1) return {};
  for (const NodeId id : loop_nodes(graph, region)) {
    const Node& node = graph.node(id);
    const auto says = [&](const auto&... reason) {
      return concat(name_of(node.op), " ", reason..., " (layer '", node.label, "')");
    };
    const std::vector<Reading> readings = operand_readings(graph, node);
    if (readings.empty()) return says("joins samples");
    if (!may_hold_samples(node.outputs[0], batch)) return says("moves samples: its result is ", node.outputs[0]);
    for (std::size_t i = 0; i < readings.size(); ++i) {
      const Ref ref = node.inputs[i];
      const bool is_inside = graph.rate(ref) >= Rate::iterate;
      if (readings[i] == Reading::whole && is_inside) return says("reads all samples of operand ", i);
      if (readings[i] == Reading::whole) continue;
      if (!may_hold_samples(graph.type(ref), batch) ||
          (is_inside && is_parameter_gradient(graph.node(ref), ref.output)))
        return says("reads operand ", i, " ", graph.type(ref), ", which is not one of samples");
    }
  }
  return {};
}

namespace {

/// Copies a region for fewer samples.
class Rebatcher {
 public:
  Rebatcher(Graph& graph, const Backend& backend, std::int64_t batch, int rows)
      : graph_(graph), backend_(backend), batch_(batch), name_(concat("rung", rows, '@', graph.size())) {
    rung_.rows = rows;
  }

  Region::Rung run(const Region& region) {
    for (const Ref& ref : region.states) {
      const Value state = input(graph_.type(ref));
      copies_[ref] = state;
      rung_.states.push_back(state.ref);
    }
    for (const NodeId id : loop_nodes(graph_, region)) copy(id);
    for (const Ref& ref : region.results) {
      const bool is_inside = graph_.rate(ref) >= Rate::iterate;
      rung_.results.push_back((is_inside ? copies_.at(ref) : graph_.add_one(Copy{}, {rows_of(ref)})).ref);
    }
    return std::move(rung_);
  }

 private:
  [[nodiscard]] Shape shrunk(const Shape& shape) const { return shape.with(0, shape[0] / batch_ * rung_.rows); }

  Value input(const TensorType& type) {
    return graph_.input(concat(name_, '.', inputs_++), {type.dtype, shrunk(type.shape)}, Rate::iterate);
  }

  /// The value with the rung's samples: computed in the rung, or gathered from outside.
  Value rows_of(Ref ref) {
    const auto [at, is_new] = copies_.try_emplace(ref);
    if (is_new) {
      at->second = input(graph_.type(ref));
      rung_.gathered.push_back(at->second.ref);
      rung_.captured.push_back(ref);
    }
    return at->second;
  }

  void copy(NodeId id) {
    const Node node = graph_.node(id);  // by value: adding nodes moves them
    const ExactLabel label(graph_, node.label);
    const std::vector<Reading> readings = operand_readings(graph_, node);
    std::vector<Value> inputs;
    for (std::size_t i = 0; i < readings.size(); ++i)
      inputs.push_back(readings[i] == Reading::rows ? rows_of(node.inputs[i]) : graph_.value(node.inputs[i]));
    const std::vector<Value> out = graph_.add(resized(node.op), repacked(node, inputs));
    for (std::uint32_t i = 0; i < out.size(); ++i) {
      const bool is_sample_major = !is_parameter_gradient(node, i);
      check(!is_sample_major || out[i].shape() == shrunk(node.outputs[i].shape), name_of(node.op), "became ",
            out[i].type(), " for ", rung_.rows, " of ", batch_, " samples of ", node.outputs[i], " (layer '",
            node.label, "')");
      copies_[Ref{id, i}] = out[i];
    }
  }

  [[nodiscard]] Op resized(Op op) const {
    if (auto* reshape = std::get_if<Reshape>(&op)) reshape->shape = shrunk(reshape->shape);
    if (auto* broadcast = std::get_if<BroadcastTo>(&op)) broadcast->shape = shrunk(broadcast->shape);
    return op;
  }

  /// Operands of a convolution with its weights packed for the smaller batch.
  std::vector<Value> repacked(const Node& node, const std::vector<Value>& inputs) {
    const auto* conv = std::get_if<Conv2d>(&node.op);
    const auto* grad = std::get_if<Conv2dInputGrad>(&node.op);
    if (!conv && !grad) return inputs;
    const Shape image = conv ? inputs[0].shape() : shrunk(node.outputs[0].shape);
    const PackWeights pack{
        .conv = conv ? *conv : grad->conv, .pass = conv ? ConvPass::forward : ConvPass::input_grad, .image = image};
    return packed_operands(graph_, backend_, pack, inputs[0], inputs.back(), inputs[1]);
  }

  Graph& graph_;
  const Backend& backend_;
  std::int64_t batch_;
  std::string name_;
  int inputs_ = 0;
  Region::Rung rung_;
  std::map<Ref, Value> copies_;
};

}  // namespace

void add_rungs(Graph& graph, RegionId id, const Backend& backend) {
  const Region region = graph.region(id);
  const std::int64_t batch = graph.type(region.states.front()).shape[0];
  std::vector<Region::Rung> rungs;
  const bool has_solve = std::ranges::any_of(loop_nodes(graph, region),
                                             [&](NodeId node) { return !regions_of(graph.node(node).op).empty(); });
  for (std::int64_t rows = batch; rows > 1 && region.joint.empty() && !has_solve;) {
    rows = (rows + 1) / 2;
    rungs.push_back(Rebatcher(graph, backend, batch, static_cast<int>(rows)).run(region));
  }
  graph.set_rungs(id, std::move(rungs));
}

}  // namespace deq
