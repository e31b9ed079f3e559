#include "autodiff/rules/rule.h"
#include "core/builder.h"

namespace deq {

InputCotangents vjp_rule(const Gather&, const RuleContext& context) {
  const std::int64_t rows = context.inputs[0].shape()[0];
  return {context.graph.add_one(GatherGrad{.rows = rows}, {context.cotangents[0], context.inputs[1]}), Value{}};
}

InputCotangents vjp_rule(const GatherGrad&, const RuleContext& context) {
  return {gather(context.cotangents[0], context.inputs[1]), Value{}};
}

/// With p = softmax(logits) and t the one-hot labels: d loss / d logits = p - t, or 0 for an ignored label, whose row
/// of t is zero; d p / d logits = diag(p) - p p^T.
InputCotangents vjp_rule(const SoftmaxCrossEntropy&, const RuleContext& context) {
  const Value loss_bar = context.cotangents[0], probability_bar = context.cotangents[1];
  const Value probability = context.outputs[1];
  const std::int64_t batch = probability.shape()[0], classes = probability.shape()[1];
  Value logits_bar;
  if (!loss_bar.is_empty()) {
    const Value target = one_hot(context.inputs[1], classes);
    const Value is_counted = sum(target, {1}, /*keep_dims=*/true);
    logits_bar = (probability * is_counted - target) * reshape(loss_bar, Shape{batch, 1});
  }
  if (!probability_bar.is_empty()) {
    const Value mean_bar = sum(probability * probability_bar, {1}, /*keep_dims=*/true);
    const Value from_probability = probability * (probability_bar - mean_bar);
    logits_bar = logits_bar.is_empty() ? from_probability : logits_bar + from_probability;
  }
  return {logits_bar, Value{}};
}

}  // namespace deq
