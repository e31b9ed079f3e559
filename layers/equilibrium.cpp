#include "layers/equilibrium.h"

#include <algorithm>
#include <variant>

#include "autodiff/product_region.h"
#include "autodiff/same_function.h"
#include "core/error.h"

namespace deq {
namespace {

/// f on `states`, checked: a fixed point needs results of the types of its states.
std::vector<Value> apply(const StateFunction& f, std::span<const Value> states, const std::string& name) {
  check(f != nullptr && !states.empty(), name, "needs a function and at least one state");
  std::vector<Value> results = f(states);
  check(results.size() == states.size(), name, "f takes ", states.size(), " states but returns ", results.size());
  for (std::size_t i = 0; i < states.size(); ++i) {
    check(!results[i].is_empty(), name, "result ", i, " of f is an empty value");
    check(results[i].type() == states[i].type(), name, "state ", i, " is ", states[i].type(), " but f returns ",
          results[i].type());
  }
  return results;
}

/// Iterate inputs for the solver to write. The graph only grows, so its size makes the names unique.
std::vector<Value> iterate_inputs(Graph& graph, const std::vector<Value>& z0, const std::string& name) {
  const std::string stem = concat(name, '@', graph.size(), ".z");
  std::vector<Value> states;
  for (std::size_t i = 0; i < z0.size(); ++i)
    states.push_back(graph.input(concat(stem, i), z0[i].type(), Rate::iterate));
  return states;
}

/// f as it was traced on the solver's iterate.
struct FirstTrace {
  const std::string& name;
  std::span<const Value> states, results;
  NodeId end;  ///< nodes from here on are the second trace's
};

/// Errors out: f at the solution z* is not the same nodes but for the state; or not the very nodes of the first trace
/// where it does not depend on the state.
void check_second_trace(const Graph& graph, const FirstTrace& first, std::span<const Value> iterate,
                        std::span<const Value> results) {
  for (NodeId id = first.end; id < graph.size(); ++id)
    check(!std::holds_alternative<Random>(graph.node(id).op), first.name,
          "f drew random numbers anew when it was traced at the solution; use a layer that owns its draw (layer '",
          graph.node(id).label, "')");
  check(are_same_function(graph, {first.states, first.results}, {iterate, results}), first.name,
        "f is another function when it is traced at the solution than it was on the solver's iterate, so gradients "
        "would not be those of what is solved; it must not depend on what changes between calls, such as a counter or "
        "random numbers of the host");
}

/// What the policy's solver evaluates beside f, traced on f's own iterate.
SolverRegions regions_beside(std::span<const Value> states, std::span<const Value> results,
                             const EquilibriumOptions& options) {
  Graph& graph = *states[0].graph;
  const ForwardNeeds needs = options.policy->forward_needs();
  SolverRegions out;
  if (needs.pullback) out.pullback = add_pullback_region(graph, results, states, Rate::iterate);
  if (needs.pushforward) out.pushforward = add_pushforward_region(graph, results, states, Rate::iterate);
  if (!needs.outer_gradient) return out;
  check(options.outer_loss != nullptr, options.name,
        "the solver's extra updates follow the gradient of the loss: set EquilibriumOptions::outer_loss");
  out.outer_gradient = add_gradient_region(graph, options.outer_loss(states), states);
  return out;
}

bool passes_applied(EquilibriumOutput output, Mode mode) {
  switch (output) {
    case EquilibriumOutput::by_mode: return mode == Mode::training;
    case EquilibriumOutput::applied: return true;
    case EquilibriumOutput::iterate: return false;
  }
  return false;
}

}  // namespace

EquilibriumTrace trace_equilibrium(const StateFunction& f, const std::vector<Value>& z0,
                                   const EquilibriumOptions& options) {
  check(!z0.empty(), options.name, "an equilibrium needs at least one state");
  check(options.policy != nullptr, options.name, "no policy: set EquilibriumOptions::policy to say how to solve");
  Graph& graph = z0[0].owner(options.name);
  const Scope named(graph, options.name);

  const std::vector<Value> states = iterate_inputs(graph, z0, options.name);
  const std::vector<Value> results = apply(f, states, options.name);
  const RegionId region = graph.add_region(states, results);
  const SolverRegions beside = regions_beside(states, results, options);
  EquilibriumTrace trace;
  trace.iterate = graph.add(deq::Equilibrium{.region = region, .policy = options.policy, .beside = beside}, z0);
  trace.node = trace.iterate[0].ref.node;

  const FirstTrace first{.name = options.name, .states = states, .results = results, .end = graph.size()};
  const bool is_training = graph.mode() == Mode::training;
  if (const std::optional<Unrolling> unrolling = options.policy->unrolling(); is_training && unrolling) {
    trace.values = damped(f, trace.iterate, *unrolling, &trace.applications);
    trace.applied = trace.applications.front();
    check_second_trace(graph, first, trace.iterate, trace.applied);
    return trace;
  }
  const bool is_applied = passes_applied(options.output, graph.mode());
  if (is_training || is_applied) {
    trace.applied = apply(f, trace.iterate, options.name);
    check_second_trace(graph, first, trace.iterate, trace.applied);
  }
  if (!is_training) {
    trace.values = is_applied ? trace.applied : trace.iterate;
    return trace;
  }
  std::vector<Value> operands = trace.applied;
  operands.insert(operands.end(), trace.iterate.begin(), trace.iterate.end());
  trace.values = graph.add(ImplicitGradient{.solve = trace.node}, std::span(operands));
  if (is_applied) return trace;
  for (std::size_t i = 0; i < trace.values.size(); ++i)
    trace.values[i] = graph.add_one(StandIn{}, {trace.values[i], trace.iterate[i]});
  return trace;
}

std::vector<Value> equilibrium(const StateFunction& f, const std::vector<Value>& z0,
                               const EquilibriumOptions& options) {
  return trace_equilibrium(f, z0, options).values;
}

std::vector<Value> damped(const StateFunction& f, std::vector<Value> z0, const Unrolling& unrolling,
                          std::vector<std::vector<Value>>* results) {
  const double damping = unrolling.damping;
  check(unrolling.steps >= 1, "damped", unrolling.steps, " steps, expected at least 1");
  check(damping > 0.0 && damping <= 1.0, "damped", "damping is ", damping, " but must be in (0, 1]");
  for (int step = 0; step < unrolling.steps; ++step) {
    const std::vector<Value> applied = apply(f, z0, "damped");
    if (results != nullptr) results->push_back(applied);
    for (std::size_t i = 0; i < z0.size(); ++i)
      z0[i] = damping == 1.0 ? applied[i] : z0[i] * (1.0 - damping) + applied[i] * damping;
  }
  return z0;
}

std::vector<Value> unrolled(const StateFunction& f, std::vector<Value> z0, int steps) {
  check(steps >= 1, "unrolled", steps, " steps, expected at least 1");
  for (int step = 0; step < steps; ++step) z0 = apply(f, z0, "unrolled");
  return z0;
}

Value zeros_like(Value like) {
  Graph& graph = like.owner("zeros_like");
  return constant(graph, 0.0, like.shape(), like.type().dtype);
}

}  // namespace deq
