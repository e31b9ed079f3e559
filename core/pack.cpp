#include "core/pack.h"

namespace deq {

std::vector<Value> packed_operands(Graph& graph, const Backend& backend, PackWeights pack, Value operand, Value weight,
                                   Value known) {
  pack.bytes = backend.packed_weight_bytes(pack, weight.type());
  if (pack.bytes == 0) return {operand, weight};
  const auto* other = known.is_empty() ? nullptr : std::get_if<PackWeights>(&graph.node(known.ref).op);
  const bool is_alike =
      other != nullptr && other->pass == pack.pass && backend.packs_alike(*other, pack, weight.type());
  return {operand, is_alike ? known : graph.add_one(pack, {weight}), weight};
}

bool is_beside_packed(const Graph& graph, const Node& node, std::size_t operand) {
  if (std::holds_alternative<ConvBlock>(node.op)) return operand == 3 || operand == 4;
  const bool is_conv = std::holds_alternative<Conv2d>(node.op) || std::holds_alternative<Conv2dInputGrad>(node.op);
  return is_conv && operand >= 2 && graph.type(node.inputs[1]).dtype == DType::u8;
}

bool reads_operand(const Graph& graph, const Backend& backend, const Node& node, std::size_t operand) {
  return backend.reads_plain_weights() || !is_beside_packed(graph, node, operand);
}

}  // namespace deq
