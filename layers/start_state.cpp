#include "layers/start_state.h"

#include "core/builder.h"
#include "core/error.h"

namespace deq {
namespace {

/// [B, 1, ..] of rank `rank`: 1 for the samples that begin at a Gaussian, 0 for the others.
Value choice_of(Value drawn, int rank) {
  std::vector<std::int64_t> extents(static_cast<std::size_t>(rank), 1);
  extents.front() = drawn.shape()[0];
  return reshape(drawn, Shape(extents));
}

}  // namespace

std::vector<Value> starting_states(Graph& graph, const std::vector<Shape>& shapes, const StartState& start) {
  check(!shapes.empty(), "starting_states", "there is no state");
  check(start.deviation > 0.0, "starting_states", "deviation is ", start.deviation, " but must be above 0");
  check(start.gaussian_share > 0.0 && start.gaussian_share < 1.0, "starting_states", "gaussian_share is ",
        start.gaussian_share, " but must be in (0, 1)");
  for (const Shape& shape : shapes)
    check(shape.rank() >= 1, "starting_states", "a state is a scalar, expected [B, ..]");
  const std::int64_t batch = shapes.front()[0];
  for (const Shape& shape : shapes)
    check(shape[0] == batch, "starting_states", "states of ", batch, " and of ", shape[0], " samples");
  const Scope named(graph, "start");
  Value choice;
  if (start.kind == StartKind::mixed)  // a Bernoulli draw is 0 or one over its probability
    choice = random(graph, Distribution::bernoulli, 1.0 - start.gaussian_share, {batch}) * start.gaussian_share;
  std::vector<Value> out;
  for (const Shape& shape : shapes) {
    if (start.kind == StartKind::zeros) {
      out.push_back(constant(graph, 0.0, shape));
      continue;
    }
    Value z = random(graph, Distribution::normal, 0.0, shape) * start.deviation;
    if (!choice.is_empty()) z = z * choice_of(choice, shape.rank());
    out.push_back(z);
  }
  return out;
}

}  // namespace deq
