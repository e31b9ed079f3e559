#include "autodiff/rules/rule.h"
#include "core/builder.h"

// The three convolution passes are the partial derivatives of one trilinear form <g, conv(x, w)>, so each one's
// cotangents are the other two.

namespace deq {

InputCotangents vjp_rule(const MatMul& op, const RuleContext& context) {
  const Value a = context.inputs[0], b = context.inputs[1], g = context.cotangents[0];
  const bool ta = op.transpose_a, tb = op.transpose_b;
  InputCotangents out(2);
  if (context.needs[0]) out[0] = ta ? matmul(b, g, tb, true) : matmul(g, b, false, !tb);
  if (context.needs[1]) out[1] = tb ? matmul(g, a, true, ta) : matmul(a, g, !ta, false);
  return out;
}

InputCotangents vjp_rule(const Conv2d& op, const RuleContext& context) {
  const Value x = context.inputs[0], weight = context.inputs[1], g = context.cotangents[0];
  InputCotangents out(2);
  if (context.needs[0]) out[0] = conv2d_input_grad(g, weight, op, x.shape()[1], x.shape()[2]);
  if (context.needs[1]) out[1] = conv2d_weight_grad(x, g, op, weight.shape()[2], weight.shape()[3]);
  return out;
}

InputCotangents vjp_rule(const Conv2dInputGrad& op, const RuleContext& context) {
  const Value g = context.inputs[0], weight = context.inputs[1], x_bar = context.cotangents[0];
  InputCotangents out(2);
  if (context.needs[0]) out[0] = conv2d(x_bar, weight, op.conv);
  if (context.needs[1]) out[1] = conv2d_weight_grad(x_bar, g, op.conv, weight.shape()[2], weight.shape()[3]);
  return out;
}

InputCotangents vjp_rule(const Conv2dWeightGrad& op, const RuleContext& context) {
  const Value x = context.inputs[0], g = context.inputs[1], weight_bar = context.cotangents[0];
  InputCotangents out(2);
  if (context.needs[0]) out[0] = conv2d_input_grad(g, weight_bar, op.conv, x.shape()[1], x.shape()[2]);
  if (context.needs[1]) out[1] = conv2d(x, weight_bar, op.conv);
  return out;
}

}  // namespace deq
