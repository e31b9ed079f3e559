#include "autodiff/product_region.h"
#include "autodiff/rules/rule.h"
#include "core/builder.h"

// The implicit function theorem at z* = f(z*; theta), with y = f(z*; theta) traced once more on the value z*:
//   w^T dz*/dtheta = u^T dy/dtheta,  u = (I - J^T)^-1 w,  J = dy/dz*.
// The cotangent w becomes u (AdjointSolve) and passes on to y, whose own rules give the gradients of theta.

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

}  // namespace

InputCotangents vjp_rule(const ImplicitGradient& op, const RuleContext& context) {
  const Blocks blocks = blocks_of(context);
  const Op solve = context.graph.node(op.equilibrium).op;
  const auto* equilibrium = std::get_if<Equilibrium>(&solve);
  check(equilibrium != nullptr, "vjp", "implicit_gradient names node ", op.equilibrium, ", which is ", name_of(solve));

  const RegionId region = equilibrium->policy->needs_vjp()
                              ? add_pullback_region(context.graph, blocks.y, blocks.z, Rate::cotangent)
                              : context.graph.add_region({}, {});
  std::vector<Value> operands;
  for (std::size_t i = 0; i < blocks.y.size(); ++i) {
    const Value w = context.cotangents[i];
    operands.push_back(w.is_empty() ? zeros_like(blocks.y[i]) : w);
  }
  operands.push_back(blocks.z.front());

  InputCotangents out = context.graph.add(AdjointSolve{.equilibrium = op.equilibrium, .region = region}, operands);
  out.resize(context.inputs.size());
  return out;
}

InputCotangents vjp_rule(const AdjointSolve&, const RuleContext& context) {
  throw Error(
      concat("vjp: an implicit gradient can be differentiated once only, so there is no jvp and no second "
             "derivative through an equilibrium; the estimators unrolled-K and phantom-K, whose gradients are "
             "those of ordinary layers, have both (layer '",
             context.graph.node(context.node).label, "')"));
}

}  // namespace deq
