#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/backend.h"

namespace deq {

struct InterpretOptions {
  bool stop_at_nonfinite = false;  ///< throw at the first node that produced inf or nan
};

/// Values of inputs by name; entries that the graph does not need are ignored.
using Bindings = std::map<std::string, Tensor>;

/// Runs a graph without equilibrium nodes on a host backend, node by node in order of creation, every output in memory
/// of its own: the executor of the gradient checks and of the op grid, and the debugger of any traced function.
///
/// Only what `outputs` depend on is run. Float bindings may be f32 or f64 and are converted to what the backend stores;
/// integer bindings must have the input's type. Parameters are read from their storage unless bound by name.
/// @returns the outputs as the backend stores them: f64 for every float on the reference backend
/// @throws Error  an input without a value or with the wrong type, a node without a kernel (equilibrium nodes among
///                them), a backend off the host, and, on request, the first node with an inf or nan (op, label, index)
std::vector<Tensor> interpret(const Graph& graph, std::span<const Value> outputs, const Bindings& bindings,
                              Backend& backend, InterpretOptions options = {});

}  // namespace deq
