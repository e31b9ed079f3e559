#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/op.h"
#include "core/tensor.h"

namespace deq {

class Graph;

/// One output of one node, without its graph: what nodes store.
struct Ref {
  NodeId node = 0;
  std::uint32_t output = 0;
  auto operator<=>(const Ref&) const = default;
};

/// Handle that model code adds, multiplies and passes on. A default-constructed Value is empty.
///
/// Reading an empty one is an Error that begins with `where`, the function that was given it, and names `layer`, if
/// any.
struct Value {
  Graph* graph = nullptr;
  Ref ref;
  std::uint64_t graph_id = 0;  ///< Graph::id, which no later graph at the same address has

  [[nodiscard]] bool is_empty() const { return graph == nullptr; }
  /// The graph it belongs to.
  [[nodiscard]] Graph& owner(std::string_view where, std::string_view layer = {}) const;
  [[nodiscard]] const TensorType& type(std::string_view where = "value", std::string_view layer = {}) const;
  [[nodiscard]] const Shape& shape(std::string_view where = "value", std::string_view layer = {}) const {
    return type(where, layer).shape;
  }
  bool operator==(const Value&) const = default;
};

/// An operation with its operands. Immutable once in a graph.
struct Node {
  Op op;
  std::vector<Ref> inputs;
  std::vector<TensorType> outputs;
  Rate rate = Rate::constant;
  std::string label;  ///< scope it was traced in, e.g. "stem.conv1"
};

/// Part of the graph that a solver evaluates repeatedly: results as functions of the states (inputs of rate
/// iterate or cotangent). Nodes that do not depend on the states belong to the outer graph.
///
/// A region may also stand for fewer samples (core/rebatch.h): then `rungs` hold its copies, largest first.
struct Region {
  /// The region for `rows` samples. `states` follow those of the region; `gathered` are inputs of rate iterate that
  /// receive rows of the outer values `captured`.
  struct Rung {
    int rows = 0;
    std::vector<Ref> states;
    std::vector<Ref> gathered;
    std::vector<Ref> captured;
    std::vector<Ref> results;
  };

  std::vector<Ref> states;
  std::vector<Ref> results;
  std::vector<Rung> rungs = {};
  std::string joint = {};  ///< why samples cannot be taken apart; empty where each is a fixed point of its own
};

/// After a run, the value `updated` replaces the contents of the input `target` (optimiser, running statistics).
struct Assignment {
  Ref target;
  Ref updated;
};

enum class Mode : std::uint8_t { training, inference };

/// A traced computation: hash-consed nodes in topological order (inputs before users). Nothing executes here.
class Graph {
 public:
  explicit Graph(Mode mode = Mode::inference);
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  [[nodiscard]] Mode mode() const { return mode_; }
  /// A number that no other graph of the process has or had.
  [[nodiscard]] std::uint64_t id() const { return id_; }

  /// The node with this op and these inputs, existing or new; returns its outputs.
  /// Errors: operands that the op's shape rule rejects, naming op, types and the current label.
  std::vector<Value> add(Op op, std::span<const Value> inputs);
  /// As `add`, first output only.
  Value add_one(Op op, std::initializer_list<Value> inputs);

  /// A fresh input. Names are unique; a repeated name is an error.
  Value input(const std::string& name, TensorType type, Rate rate);
  /// The input backed by `storage`, which a program reads (and an assignment writes) in place. The same storage gives
  /// the same value, so a parameter used twice gets the sum of both gradients.
  Value parameter(const std::string& name, std::shared_ptr<Tensor> storage);
  /// A copy of `values` that nothing assigns: equal arrays are one value.
  Value array(const Tensor& values);
  /// i64[2] (seed, counter) that random draws read; one per graph, bound as "rng_seed" each batch.
  Value rng_seed();
  /// A number no other random draw of this graph has.
  std::uint32_t next_random_site() { return random_sites_++; }

  /// Errors: a value is empty or belongs to another graph.
  RegionId add_region(std::vector<Value> states, std::vector<Value> results);
  void set_rungs(RegionId region, std::vector<Region::Rung> rungs);
  void set_joint(RegionId region, std::string reason);
  /// After each run `target` becomes `updated`, which sees the old values of all targets unless it is computed from
  /// updates. Errors: empty values or values of another graph; no parameter; another type; assigned twice.
  void assign(Value target, Value updated);

  [[nodiscard]] const Node& node(NodeId id) const { return nodes_[id]; }
  [[nodiscard]] const Node& node(Ref ref) const { return nodes_[ref.node]; }
  [[nodiscard]] const TensorType& type(Ref ref) const { return nodes_[ref.node].outputs[ref.output]; }
  [[nodiscard]] Rate rate(Ref ref) const { return nodes_[ref.node].rate; }
  [[nodiscard]] NodeId size() const { return static_cast<NodeId>(nodes_.size()); }
  [[nodiscard]] const Region& region(RegionId id) const { return regions_[id]; }
  [[nodiscard]] const std::vector<Assignment>& assignments() const { return assignments_; }
  /// Name of an input or parameter; empty for other nodes.
  [[nodiscard]] const std::string& input_name(NodeId id) const;
  /// Storage of a parameter; null for other nodes.
  [[nodiscard]] std::shared_ptr<Tensor> storage(NodeId id) const;
  /// Inputs (not parameters) in order of creation.
  [[nodiscard]] const std::vector<NodeId>& inputs() const { return inputs_; }
  [[nodiscard]] const std::vector<NodeId>& parameters() const { return parameters_; }
  /// The input or parameter called `name`. Errors: none has that name.
  [[nodiscard]] Value find(const std::string& name);
  [[nodiscard]] Value value(Ref ref) { return Value{this, ref, id_}; }

  /// Text of every node, one a line, for tests and debugging.
  [[nodiscard]] std::string describe() const;

 private:
  friend class Scope;
  friend class ExactLabel;
  NodeId intern(Node node);

  Mode mode_;
  std::uint64_t id_;
  std::vector<Node> nodes_;
  std::unordered_multimap<std::size_t, NodeId> by_hash_;
  std::vector<Region> regions_;
  std::vector<Assignment> assignments_;
  std::vector<NodeId> inputs_, parameters_;
  std::unordered_map<NodeId, std::string> input_names_;
  std::unordered_map<std::string, NodeId> by_name_;
  std::unordered_map<NodeId, std::shared_ptr<Tensor>> storages_;
  std::unordered_map<const Tensor*, NodeId> by_storage_;
  std::unordered_multimap<std::size_t, NodeId> arrays_;  ///< by the hash of their bytes
  std::string label_;
  std::uint32_t random_sites_ = 0;
};

/// While alive, nodes added to `graph` carry `name` in their label ("outer.name").
class Scope {
 public:
  Scope(Graph& graph, const std::string& name);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  Graph* graph_;
  std::size_t previous_length_;
};

/// While alive, nodes added to `graph` carry exactly `label`, whatever scopes are open: derivatives take the label of
/// the node they differentiate.
class ExactLabel {
 public:
  ExactLabel(Graph& graph, std::string label);
  ~ExactLabel();
  ExactLabel(const ExactLabel&) = delete;
  ExactLabel& operator=(const ExactLabel&) = delete;

 private:
  Graph* graph_;
  std::string previous_;
};

/// Output types of `op` on `inputs`. Errors: see Graph::add. Defined over infer*.cpp.
std::vector<TensorType> infer(const Op& op, std::span<const TensorType> inputs, const std::string& label);

}  // namespace deq
