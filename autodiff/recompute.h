#pragma once

#include <span>
#include <vector>

#include "core/graph.h"

namespace deq {

/// The same gradients with less memory: f is evaluated at z* once more when the adjoint solve has given u, and the
/// gradients read what this second evaluation leaves. Values between z* and f(z*) are then not alive together with what
/// the solver remembers of its steps; they cost one more f and, where a backend packs weights, one more packing of f's.
/// No bit of a result changes.
///
/// Equilibria whose adjoint evaluates J^T itself need those values during the solve and stay as they are, as do all in
/// a graph with gradients that were made to be differentiated again.
/// `gradients` are values of one graph, made by vjp; more is added to it, nothing removed.
std::vector<Value> recomputed(std::span<const Value> gradients);

}  // namespace deq
