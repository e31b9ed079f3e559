#include "autodiff/rules/rule.h"
#include "core/builder.h"

namespace deq {

InputCotangents vjp_rule(const Reshape&, const RuleContext& context) {
  return {reshape(context.cotangents[0], context.inputs[0].shape())};
}

InputCotangents vjp_rule(const Transpose& op, const RuleContext& context) {
  std::vector<int> inverse(op.permutation.size());
  for (std::size_t i = 0; i < inverse.size(); ++i) {
    inverse[static_cast<std::size_t>(op.permutation[i])] = static_cast<int>(i);
  }
  return {transpose(context.cotangents[0], inverse)};
}

InputCotangents vjp_rule(const Concat& op, const RuleContext& context) {
  InputCotangents out(context.inputs.size());
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int64_t end = begin + context.inputs[i].shape()[op.axis];
    if (context.needs[i]) out[i] = slice(context.cotangents[0], op.axis, begin, end);
    begin = end;
  }
  return out;
}

InputCotangents vjp_rule(const Slice& op, const RuleContext& context) {
  return {pad(context.cotangents[0], op.axis, op.begin, context.inputs[0].shape()[op.axis] - op.end)};
}

InputCotangents vjp_rule(const Pad& op, const RuleContext& context) {
  const std::int64_t extent = context.inputs[0].shape()[op.axis];
  return {slice(context.cotangents[0], op.axis, op.before, op.before + extent)};
}

InputCotangents vjp_rule(const BroadcastTo&, const RuleContext& context) {
  return {sum_to(context.cotangents[0], context.inputs[0].shape())};
}

InputCotangents vjp_rule(const Sum& op, const RuleContext& context) {
  const Shape whole = context.inputs[0].shape();
  Shape kept = whole;
  for (const int axis : op.axes) kept = kept.with(axis, 1);
  Value g = context.cotangents[0];
  if (g.shape() != kept) g = reshape(g, kept);
  return {broadcast_to(g, whole)};
}

}  // namespace deq
