#pragma once

#include <vector>

#include "core/backend.h"

namespace deq {

/// Operands of a convolution pass with its weights packed for `backend`: {operand, packed, weight}, or
/// {operand, weight} where the backend takes weights as they are. `pack`
/// says all but its bytes. A packing that gives the same bytes as `known` (a PackWeights value; empty: none) uses that
/// one.
std::vector<Value> packed_operands(Graph& graph, const Backend& backend, PackWeights pack, Value operand, Value weight,
                                   Value known = {});

/// True for the plain weights of a convolution that has them packed.
bool is_beside_packed(const Graph& graph, const Node& node, std::size_t operand);

/// False for such weights where `backend` takes their shape alone.
bool reads_operand(const Graph& graph, const Backend& backend, const Node& node, std::size_t operand);

}  // namespace deq
