#include "autodiff/rules/rule.h"
#include "core/builder.h"

// Every operation here is linear in the image (pooling maxima: once the winners are known), so the rule is its
// transpose.

namespace deq {

InputCotangents vjp_rule(const Resize& op, const RuleContext& context) {
  const Shape image = context.inputs[0].shape();
  const ResizeGrad transposed{
      .mode = op.mode, .height = image[1], .width = image[2], .align_corners = op.align_corners};
  return {context.graph.add_one(transposed, {context.cotangents[0]})};
}

InputCotangents vjp_rule(const ResizeGrad& op, const RuleContext& context) {
  const Shape resized = context.inputs[0].shape();
  return {resize(context.cotangents[0],
                 {.mode = op.mode, .height = resized[1], .width = resized[2], .align_corners = op.align_corners})};
}

InputCotangents vjp_rule(const AvgPool& op, const RuleContext& context) {
  const Shape image = context.inputs[0].shape();
  return {
      context.graph.add_one(AvgPoolGrad{.pool = op, .height = image[1], .width = image[2]}, {context.cotangents[0]})};
}

InputCotangents vjp_rule(const AvgPoolGrad& op, const RuleContext& context) {
  return {avg_pool(context.cotangents[0], op.pool)};
}

InputCotangents vjp_rule(const MaxPool&, const RuleContext& context) {
  const Shape image = context.inputs[0].shape();
  return {context.graph.add_one(WinnerScatter{.height = image[1], .width = image[2]},
                                {context.cotangents[0], context.outputs[1]})};
}

InputCotangents vjp_rule(const WinnerGather&, const RuleContext& context) {
  const Shape image = context.inputs[0].shape();
  return {context.graph.add_one(WinnerScatter{.height = image[1], .width = image[2]},
                                {context.cotangents[0], context.inputs[1]}),
          Value{}};
}

InputCotangents vjp_rule(const WinnerScatter&, const RuleContext& context) {
  return {context.graph.add_one(WinnerGather{}, {context.cotangents[0], context.inputs[1]}), Value{}};
}

}  // namespace deq
