#include "core/graph.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <utility>

#include "core/live_nodes.h"

namespace deq {
namespace {

/// Weak on purpose: only the kind of op and the operands. Equality is the ops' own defaulted ==, so no attribute can be
/// forgotten here.
std::size_t hash_of(const Node& node) {
  std::size_t hash = node.op.index();
  for (const Ref& ref : node.inputs) hash = hash * 1000003u + (static_cast<std::size_t>(ref.node) << 4) + ref.output;
  return hash;
}

std::string_view bytes_of(const Tensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.raw()), tensor.bytes()};
}

Rate rate_of(const Graph& graph, const Node& node) {
  if (const auto* input = std::get_if<Input>(&node.op)) return input->rate;
  Rate rate = Rate::constant;
  for (const Ref& ref : node.inputs) rate = faster(rate, graph.rate(ref));
  for (const NodeId state : states_around(graph, node.op)) rate = faster(rate, graph.node(state).rate);
  const bool is_solve = std::holds_alternative<Equilibrium>(node.op) || std::holds_alternative<LinearSolve>(node.op) ||
                        std::holds_alternative<ImplicitGradient>(node.op);
  return is_solve ? faster(rate, Rate::batch) : rate;
}

}  // namespace

Graph& Value::owner(std::string_view where, std::string_view layer) const {
  check(!is_empty(), where,
        "an empty value: nothing was assigned to it, or it is the gradient in a variable that the loss does not depend "
        "on, for which gradients_or_zeros gives zeros",
        layer.empty() ? "" : concat(" (layer '", layer, "')"));
  check(graph->id() == graph_id, where, "a value of a graph that is gone");
  return *graph;
}

const TensorType& Value::type(std::string_view where, std::string_view layer) const {
  return owner(where, layer).type(ref);
}

Graph::Graph(Mode mode) : mode_(mode) {
  static std::atomic<std::uint64_t> count = 0;
  id_ = ++count;
}

std::vector<Value> Graph::add(Op op, std::span<const Value> inputs) {
  Node node;
  std::vector<TensorType> types;
  for (const Value& value : inputs) {
    check(&value.owner(name_of(op), label_) == this, name_of(op), "an operand belongs to another graph (layer '",
          label_, "')");
    node.inputs.push_back(value.ref);
    types.push_back(value.type());
  }
  node.outputs = infer(op, types, label_);
  node.op = std::move(op);
  node.label = label_;
  const NodeId id = intern(std::move(node));
  std::vector<Value> out;
  for (std::uint32_t i = 0; i < nodes_[id].outputs.size(); ++i) out.push_back(value(Ref{id, i}));
  return out;
}

Value Graph::add_one(Op op, std::initializer_list<Value> inputs) {
  return add(std::move(op), std::span(inputs.begin(), inputs.size())).front();
}

NodeId Graph::intern(Node node) {
  const std::size_t hash = hash_of(node);
  const auto [first, last] = by_hash_.equal_range(hash);
  for (auto it = first; it != last; ++it) {
    const Node& other = nodes_[it->second];
    if (other.inputs == node.inputs && other.op == node.op) return it->second;
  }
  node.rate = rate_of(*this, node);
  nodes_.push_back(std::move(node));
  const auto id = static_cast<NodeId>(nodes_.size() - 1);
  by_hash_.emplace(hash, id);
  return id;
}

Value Graph::input(const std::string& name, TensorType type, Rate rate) {
  check(!by_name_.contains(name), "input", "the name '", name, "' is taken");
  const Value value = add_one(Input{type, rate, static_cast<std::uint32_t>(by_name_.size())}, {});
  by_name_[name] = value.ref.node;
  input_names_[value.ref.node] = name;
  inputs_.push_back(value.ref.node);
  return value;
}

Value Graph::parameter(const std::string& name, std::shared_ptr<Tensor> storage) {
  check(storage != nullptr, "parameter", "'", name, "' has no storage");
  check(!storage->is_empty(), "parameter", "'", name, "' is an empty tensor");
  if (const auto it = by_storage_.find(storage.get()); it != by_storage_.end()) return value(Ref{it->second, 0});
  check(!by_name_.contains(name), "parameter", "the name '", name,
        "' is taken in this graph; models that share one are built in scopes with prefixes of their own");
  const Value value = input(name, storage->type(), Rate::step);
  inputs_.pop_back();
  parameters_.push_back(value.ref.node);
  by_storage_[storage.get()] = value.ref.node;
  storages_[value.ref.node] = std::move(storage);
  return value;
}

Value Graph::array(const Tensor& values) {
  check(!values.is_empty(), "constant", "the array is an empty tensor");
  const std::string_view bytes = bytes_of(values);
  const std::size_t hash = std::hash<std::string_view>{}(bytes);
  const auto [first, last] = arrays_.equal_range(hash);
  for (auto it = first; it != last; ++it) {
    const Tensor& known = *storages_.at(it->second);
    if (known.type() == values.type() && bytes_of(known) == bytes) return value(Ref{it->second, 0});
  }
  const Value made = parameter(concat("constant@", size()), std::make_shared<Tensor>(values.clone()));
  arrays_.emplace(hash, made.ref.node);
  return made;
}

Value Graph::rng_seed() {
  static const std::string kName = "rng_seed";
  if (const auto it = by_name_.find(kName); it != by_name_.end()) return value(Ref{it->second, 0});
  return input(kName, TensorType{DType::i64, {2}}, Rate::batch);
}

RegionId Graph::add_region(std::vector<Value> states, std::vector<Value> results) {
  const auto is_foreign = [this](const Value& value) { return value.graph_id != id_; };
  check(std::ranges::none_of(states, is_foreign) && std::ranges::none_of(results, is_foreign), "region",
        "a value is empty or belongs to another graph (layer '", label_, "')");
  Region region;
  for (const Value& value : states) region.states.push_back(value.ref);
  for (const Value& value : results) region.results.push_back(value.ref);
  regions_.push_back(std::move(region));
  return static_cast<RegionId>(regions_.size() - 1);
}

void Graph::set_rungs(RegionId region, std::vector<Region::Rung> rungs) { regions_[region].rungs = std::move(rungs); }
void Graph::set_joint(RegionId region, std::string reason) { regions_[region].joint = std::move(reason); }

void Graph::assign(Value target, Value updated) {
  check(target.graph_id == id_ && updated.graph_id == id_, "assign", "a value is empty or belongs to another graph");
  check(storages_.contains(target.ref.node), "assign", "the target is not a parameter");
  const bool is_array =
      std::ranges::any_of(arrays_, [&](const auto& array) { return array.second == target.ref.node; });
  check(!is_array, "assign", "the target is a constant array, which never changes; make it a parameter");
  check(target.type() == updated.type(), "assign", "target ", target.type(), ", update ", updated.type(), " ('",
        input_name(target.ref.node), "')");
  const bool is_repeat = std::any_of(assignments_.begin(), assignments_.end(),
                                     [&](const Assignment& other) { return other.target == target.ref; });
  check(!is_repeat, "assign", "'", input_name(target.ref.node), "' is assigned twice");
  assignments_.push_back({target.ref, updated.ref});
}

const std::string& Graph::input_name(NodeId id) const {
  static const std::string kNone;
  const auto it = input_names_.find(id);
  return it == input_names_.end() ? kNone : it->second;
}

std::shared_ptr<Tensor> Graph::storage(NodeId id) const {
  const auto it = storages_.find(id);
  return it == storages_.end() ? nullptr : it->second;
}

Value Graph::find(const std::string& name) {
  const auto it = by_name_.find(name);
  check(it != by_name_.end(), "graph", "no input is called '", name, "'");
  return value(Ref{it->second, 0});
}

std::string Graph::describe() const {
  std::ostringstream out;
  for (NodeId id = 0; id < size(); ++id) {
    const Node& n = nodes_[id];
    out << '%' << id << ' ' << name_of(n.op) << '(';
    for (std::size_t i = 0; i < n.inputs.size(); ++i) {
      out << (i ? ", %" : "%") << n.inputs[i].node;
      if (n.inputs[i].output) out << '.' << n.inputs[i].output;
    }
    out << ") ->";
    for (const TensorType& type : n.outputs) out << ' ' << type;
    out << " @" << name_of(n.rate);
    if (const std::string& name = input_name(id); !name.empty()) out << " \"" << name << '"';
    if (!n.label.empty()) out << " in " << n.label;
    out << '\n';
  }
  return out.str();
}

Scope::Scope(Graph& graph, const std::string& name) : graph_(&graph), previous_length_(graph.label_.size()) {
  if (!graph.label_.empty() && !name.empty()) graph.label_ += '.';
  graph.label_ += name;
}

Scope::~Scope() { graph_->label_.resize(previous_length_); }

ExactLabel::ExactLabel(Graph& graph, std::string label)
    : graph_(&graph), previous_(std::exchange(graph.label_, std::move(label))) {}

ExactLabel::~ExactLabel() { graph_->label_ = std::move(previous_); }

}  // namespace deq
