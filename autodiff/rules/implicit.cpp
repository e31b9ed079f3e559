#include <algorithm>

#include "autodiff/product_region.h"
#include "autodiff/retrace.h"
#include "autodiff/rules/rule.h"
#include "autodiff/vjp.h"
#include "core/builder.h"

// The implicit function theorem at z* = f(z*; theta), with y = f(z*; theta) traced once more on the value z*:
//   w^T dz*/dtheta = u^T dy/dtheta,  u = (I - J^T)^-1 w,  J = dy/dz*.
// The cotangent w becomes u (LinearSolve) and passes on to y, whose own rules give the gradients of theta.
//
// To be differentiated again, these gradients must depend on z* and u as on values that have derivatives. Both are
// fixed points, u that of u -> w + J^T u; so y is traced on a z* that stands for the equilibrium's result, and u is the
// result of an implicit gradient of its own, whose derivative is the solve with J (the tangent system). What this adds
// is the same computation again: the compiler makes one of both.

namespace deq {
namespace {

struct Blocks {
  std::vector<Value> y;
  std::vector<Value> z;
};

Blocks blocks_of(const RuleContext& context) {
  const auto middle = context.inputs.begin() + static_cast<std::ptrdiff_t>(context.inputs.size() / 2);
  return {{context.inputs.begin(), middle}, {middle, context.inputs.end()}};
}

Value zeros_like(Value value) { return constant(value.owner("vjp"), 0, value.shape(), value.type().dtype); }

/// The solve that gives the derivative of `solve`, but for its region.
LinearSolve derivative_of(const Graph& graph, NodeId solve) {
  const Op& op = graph.node(solve).op;
  if (std::holds_alternative<Equilibrium>(op)) return {.equilibrium = solve, .system = ImplicitSystem::adjoint};
  const auto* linear = std::get_if<LinearSolve>(&op);
  check(linear != nullptr, "vjp", "implicit_gradient names node ", solve, ", which is ", name_of(op));
  const bool is_adjoint = linear->system == ImplicitSystem::adjoint;
  return {.equilibrium = linear->equilibrium, .system = is_adjoint ? ImplicitSystem::tangent : ImplicitSystem::adjoint};
}

/// The bytes of `solution` with the derivatives of `results`.
std::vector<Value> standing_in(std::span<const Value> results, std::span<const Value> solution) {
  std::vector<Value> out;
  for (std::size_t i = 0; i < solution.size(); ++i)
    out.push_back(solution[i].graph->add_one(StandIn{}, {results[i], solution[i]}));
  return out;
}

/// u, the solution of `solve`, as a value with derivatives: u = w + J^T u, J = dy/dz.
std::vector<Value> differentiable(Graph& graph, std::span<const Value> u, std::span<const Value> w,
                                  std::span<const Value> y, std::span<const Value> z) {
  std::vector<Value> operands = vjp(y, u, z, {.differentiable = true});
  for (std::size_t i = 0; i < operands.size(); ++i) operands[i] = operands[i].is_empty() ? w[i] : w[i] + operands[i];
  operands.insert(operands.end(), u.begin(), u.end());
  return standing_in(graph.add(ImplicitGradient{.solve = u[0].ref.node}, operands), u);
}

}  // namespace

InputCotangents vjp_rule(const ImplicitGradient& op, const RuleContext& context) {
  Graph& graph = context.graph;
  const Blocks blocks = blocks_of(context);
  LinearSolve solve = derivative_of(graph, op.solve);
  const auto policy = std::get<Equilibrium>(graph.node(solve.equilibrium).op).policy;
  solve.region =
      policy->needs_vjp() ? add_pullback_region(graph, blocks.y, blocks.z, Rate::cotangent) : graph.add_region({}, {});
  solve.is_leaf = context.is_differentiable;
  std::vector<Value> w;
  for (std::size_t i = 0; i < blocks.y.size(); ++i)
    w.push_back(context.cotangents[i].is_empty() ? zeros_like(blocks.y[i]) : context.cotangents[i]);
  std::vector<Value> operands = w;
  operands.push_back(graph.value({solve.equilibrium, 0}));
  std::vector<Value> u = graph.add(solve, operands);
  InputCotangents out(context.inputs.size());
  if (!context.is_differentiable) {
    std::ranges::copy(u, out.begin());
    return out;
  }

  std::vector<Value> z = standing_in(context.outputs, blocks.z);
  for (std::size_t i = 0; i < z.size(); ++i)
    if (context.is_variable(blocks.z[i].ref)) z[i] = blocks.z[i];
  const Retraced again = retrace(graph, blocks.y, blocks.z, z, context.is_variable);
  u = differentiable(graph, u, w, again.results, z);
  // z is given: what passes it is in u. Where it is a variable all the same, it gets its own cotangent.
  std::vector<Value> variables = z;
  std::ranges::copy_if(again.operands, std::back_inserter(variables),
                       [&](const Value& value) { return context.wants(value.ref); });
  const std::vector<Value> passed = vjp(again.results, u, variables, {.differentiable = true});
  for (std::size_t i = 0; i < variables.size(); ++i) {
    const bool is_given = i < z.size() && variables[i] != blocks.z[i];
    if (!is_given && !passed[i].is_empty()) context.pass(variables[i].ref, passed[i]);
  }
  return out;
}

InputCotangents vjp_rule(const LinearSolve&, const RuleContext& context) {
  throw Error(
      concat("vjp: a gradient that passed an equilibrium is differentiated, but was not made for it: give the vjp or "
             "gradients that made it {.differentiable = true} (layer '",
             context.graph.node(context.node).label, "')"));
}

InputCotangents vjp_rule(const StandIn&, const RuleContext& context) { return {context.cotangents[0], Value{}}; }

}  // namespace deq
