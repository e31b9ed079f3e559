#pragma once

#include <cstdint>
#include <vector>

#include "core/graph.h"

namespace deq {

/// How an operation reads an operand when samples are rows along axis 0.
enum class Reading : std::uint8_t {
  rows,  ///< a sample of the output depends on its own rows of the operand
  whole  ///< every sample may read all of it: weights
};

/// One entry per operand of a node whose outputs hold samples along axis 0; empty when the operation joins samples, or
/// may.
std::vector<Reading> operand_readings(const Graph& graph, const Node& node);

}  // namespace deq
