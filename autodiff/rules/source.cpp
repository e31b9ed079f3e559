#include "autodiff/rules/rule.h"

// Operations that no cotangent passes, and those that do not exist yet when derivatives are taken.

namespace deq {
namespace {

[[noreturn]] void appears_after_differentiation(const Op& op, const RuleContext& context) {
  throw Error(concat("vjp: ", name_of(op), " has no derivative: it appears after differentiation (layer '",
                     context.graph.node(context.node).label, "')"));
}

}  // namespace

NoDerivative vjp_rule(const Input&, const RuleContext&) { return {}; }
NoDerivative vjp_rule(const Constant&, const RuleContext&) { return {}; }
NoDerivative vjp_rule(const Random&, const RuleContext&) { return {}; }
NoDerivative vjp_rule(const OneHot&, const RuleContext&) { return {}; }
NoDerivative vjp_rule(const Equilibrium&, const RuleContext&) { return {}; }

InputCotangents vjp_rule(const PackWeights& op, const RuleContext& context) {
  appears_after_differentiation(op, context);
}
InputCotangents vjp_rule(const ConvBlock& op, const RuleContext& context) {
  appears_after_differentiation(op, context);
}
InputCotangents vjp_rule(const WeightNorm& op, const RuleContext& context) {
  appears_after_differentiation(op, context);
}
InputCotangents vjp_rule(const GroupNormPair& op, const RuleContext& context) {
  appears_after_differentiation(op, context);
}
InputCotangents vjp_rule(const UpsampleSum& op, const RuleContext& context) {
  appears_after_differentiation(op, context);
}
InputCotangents vjp_rule(const SgdUpdate& op, const RuleContext& context) {
  appears_after_differentiation(op, context);
}
InputCotangents vjp_rule(const AdamUpdate& op, const RuleContext& context) {
  appears_after_differentiation(op, context);
}

}  // namespace deq
