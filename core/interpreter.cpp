#include "core/interpreter.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

namespace deq {
namespace {

/// Outputs of every node run so far; empty for nodes that nothing needs.
using Values = std::vector<std::vector<Tensor>>;

std::vector<std::uint8_t> needed_nodes(const Graph& graph, std::span<const Value> outputs) {
  std::vector<std::uint8_t> needed(graph.size(), 0);
  for (const Value& output : outputs) {
    check(&output.owner("interpret") == &graph, "interpret", "an output belongs to another graph");
    needed[output.ref.node] = 1;
  }
  for (NodeId id = graph.size(); id-- > 0;) {
    if (!needed[id]) continue;
    for (const Ref& input : graph.node(id).inputs) needed[input.node] = 1;
  }
  return needed;
}

template <class From, class To>
void convert(const Tensor& from, Tensor& into) {
  const auto source = from.data<From>();
  std::transform(source.begin(), source.end(), into.data<To>().begin(), [](From x) { return static_cast<To>(x); });
}

/// `value` in the type `wanted`, in memory of its own.
Tensor stored_as(const Tensor& value, DType wanted, const std::string& name) {
  const DType given = value.dtype();
  if (given == wanted) return value.clone();
  Tensor out(wanted, value.shape());
  if (given == DType::f32 && wanted == DType::f64) {
    convert<float, double>(value, out);
  } else if (given == DType::f64 && wanted == DType::f32) {
    convert<double, float>(value, out);
  } else {
    check(false, "interpret", "input '", name, "' is kept as ", name_of(wanted), ", its value is ", value.type());
  }
  return out;
}

Tensor input_value(const Graph& graph, NodeId id, const Bindings& bindings, const Backend& backend) {
  const std::string& name = graph.input_name(id);
  const TensorType& type = graph.node(id).outputs[0];
  const auto bound = bindings.find(name);
  std::optional<Tensor> value;
  if (bound != bindings.end()) {
    value = bound->second;
  } else if (const auto storage = graph.storage(id)) {
    value = *storage;
  }
  check(value.has_value(), "interpret", "input '", name, "' (", type, ") has no value");
  check(value->shape() == type.shape, "interpret", "input '", name, "' is ", type, ", its value is ", value->type());
  return stored_as(*value, backend.storage(type.dtype), name);
}

std::vector<Tensor> run_node(const Graph& graph, NodeId id, const Values& values, Backend& backend) {
  const Node& node = graph.node(id);
  if (std::holds_alternative<StandIn>(node.op)) return {values[node.inputs[1].node][node.inputs[1].output].clone()};
  std::vector<TensorType> input_types;
  std::vector<const void*> inputs;
  for (const Ref& ref : node.inputs) {
    input_types.push_back(graph.type(ref));
    inputs.push_back(values[ref.node][ref.output].raw());
  }
  std::vector<Tensor> results;
  std::vector<void*> outputs;
  for (const TensorType& type : node.outputs) {
    results.emplace_back(backend.storage(type.dtype), type.shape);
    outputs.push_back(results.back().raw());
  }
  const std::vector<std::uint8_t> is_used(outputs.size(), 1);
  const std::unique_ptr<Kernel> kernel = backend.lower(
      {.op = node.op, .inputs = input_types, .outputs = node.outputs, .output_used = is_used, .label = node.label});
  const AlignedBytes workspace = backend.allocate(kernel->workspace_bytes());
  kernel->bind(inputs, outputs, workspace.get());
  kernel->run();
  return results;
}

template <class T>
bool all_finite(const Tensor& tensor) {
  const auto values = tensor.data<T>();
  return std::all_of(values.begin(), values.end(), [](T x) { return std::isfinite(x); });
}

bool is_finite(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::f32: return all_finite<float>(tensor);
    case DType::f64: return all_finite<double>(tensor);
    case DType::i32:
    case DType::i64:
    case DType::u8:
    case DType::bf16: return true;
  }
  return true;
}

void check_finite(const Graph& graph, NodeId id, const std::vector<Tensor>& results) {
  const Node& node = graph.node(id);
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (is_finite(results[i])) continue;
    const std::string& name = graph.input_name(id);
    check(false, "interpret", "node ", id, " (", name_of(node.op), name.empty() ? "" : " '" + name + "'", ", layer '",
          node.label, "') produced inf or nan in output ", i, " ", node.outputs[i]);
  }
}

}  // namespace

std::vector<Tensor> interpret(const Graph& graph, std::span<const Value> outputs, const Bindings& bindings,
                              Backend& backend, InterpretOptions options) {
  check(backend.device().kind != DeviceKind::cuda, "interpret", "needs a backend with host memory, not ",
        name_of(backend.device()));
  const std::vector<std::uint8_t> needed = needed_nodes(graph, outputs);
  Values values(graph.size());
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!needed[id]) continue;
    if (std::holds_alternative<Input>(graph.node(id).op)) {
      values[id].push_back(input_value(graph, id, bindings, backend));
    } else {
      values[id] = run_node(graph, id, values, backend);
    }
    if (options.stop_at_nonfinite) check_finite(graph, id, values[id]);
  }
  std::vector<Tensor> results;
  for (const Value& output : outputs) results.push_back(values[output.ref.node][output.ref.output]);
  return results;
}

}  // namespace deq
