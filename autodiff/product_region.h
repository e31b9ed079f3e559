#pragma once

#include <span>
#include <string>

#include "core/graph.h"

namespace deq {

/// Regions of linear maps at y = f(z), in the nodes that f left in the graph. Their states v are fresh inputs of `rate`
/// typed like y (or z), their results values of their own: zeros where nothing is read, a copy where v comes back as
/// it is.

/// v -> J^T v, J = dy/dz.
RegionId add_pullback_region(Graph& graph, std::span<const Value> y, std::span<const Value> z, Rate rate);
/// v -> J v.
RegionId add_pushforward_region(Graph& graph, std::span<const Value> y, std::span<const Value> z, Rate rate);
/// No states; results: the gradient of `loss` (a scalar) in z.
RegionId add_gradient_region(Graph& graph, Value loss, std::span<const Value> z);

}  // namespace deq
