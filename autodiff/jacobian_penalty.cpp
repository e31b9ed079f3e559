#include "autodiff/jacobian_penalty.h"

#include <vector>

#include "autodiff/vjp.h"
#include "core/builder.h"

namespace deq {

Value jacobian_penalty(std::span<const Value> y, std::span<const Value> z, int probes) {
  check(!y.empty() && y.size() == z.size(), "jacobian_penalty", y.size(), " results but ", z.size(), " states",
        y.empty() && !z.empty() ? "; an equilibrium of an inference graph has no applied values: trace it for training"
                                : "");
  check(probes >= 1, "jacobian_penalty", "needs at least one probe, got ", probes);
  Graph& graph = y.front().owner("jacobian_penalty");
  const Scope scope(graph, "jacobian_penalty");
  double elements = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const TensorType &result = y[i].type("jacobian_penalty"), &state = z[i].type("jacobian_penalty");
    check(result == state, "jacobian_penalty", "result ", i, " is ", result, " but its state is ", state);
    elements += static_cast<double>(state.shape.elements());
  }

  Value total = constant(graph, 0);
  for (int probe = 0; probe < probes; ++probe) {
    std::vector<Value> eps;
    for (const Value& block : y) eps.push_back(random(graph, Distribution::normal, 0, block.shape()));
    for (const Value& row : vjp(y, eps, z)) {
      if (!row.is_empty()) total = total + sum(square(row));
    }
  }
  return total * (1 / (elements * probes));
}

}  // namespace deq
