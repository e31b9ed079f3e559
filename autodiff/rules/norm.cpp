#include <algorithm>

#include "autodiff/rules/norm_decomposition.h"
#include "autodiff/rules/rule.h"
#include "autodiff/vjp.h"
#include "core/builder.h"

namespace deq {
namespace {

void accumulate(Value& sum, Value term) { sum = sum.is_empty() ? term : sum + term; }

/// Cotangents of [x, gamma, beta] from those of y: one GroupNormGrad or BatchNormGrad node.
InputCotangents from_output(const Op& grad, bool is_affine, std::vector<Value> operands, const RuleContext& context) {
  if (is_affine) operands.push_back(context.inputs[1]);
  return context.graph.add(grad, operands);
}

/// Derivative of a norm gradient through its decomposition: positions of x, g and gamma among the operands differ, the
/// statistics get nothing of their own (they are those of x, whose cotangent is complete).
InputCotangents second_order(const NormView& norm, std::size_t g_index, bool is_affine, const RuleContext& context) {
  std::vector<std::size_t> positions{0, g_index};
  if (is_affine) positions.push_back(g_index + 1);
  const Value gamma = is_affine ? context.inputs[g_index + 1] : Value{};
  const NormGradValues values = decompose_norm_grad(norm, context.inputs[0], context.inputs[g_index], gamma);

  std::vector<Value> outputs{values.dx}, wrt;
  if (is_affine) outputs.insert(outputs.end(), {values.dgamma, values.dbeta});
  std::vector<std::size_t> wanted;
  for (const std::size_t position : positions) {
    // Operands may be one value (g == x): its cotangent is the sum over all of them, so it is asked for once.
    const bool is_repeat = std::find(wrt.begin(), wrt.end(), context.inputs[position]) != wrt.end();
    if (!context.needs[position] || is_repeat) continue;
    wanted.push_back(position);
    wrt.push_back(context.inputs[position]);
  }
  const std::vector<Value> found = vjp(outputs, context.cotangents, wrt);
  InputCotangents out(context.inputs.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) out[wanted[i]] = found[i];
  return out;
}

/// Cotangent of x from that of the statistics (mean, s = 1/sqrt(var + eps)) of group norm over n elements:
/// d mean = 1/n, d s = -s^3 (x - mean) / n.
Value from_group_statistics(const NormView& norm, Value x, Value stats, Value stats_bar) {
  const Shape per_set{norm.view[0], 1, norm.view[2], 1};
  const auto pick = [&](Value pair, std::int64_t which) { return reshape(slice(pair, 2, which, which + 1), per_set); };
  const Value mean = pick(stats, 0), s = pick(stats, 1);
  const Value slope = affine(square(s) * s * pick(stats_bar, 1), -1 / norm.count(), 0);
  const Value cotangent = (reshape(x, norm.view) - mean) * slope + affine(pick(stats_bar, 0), 1 / norm.count(), 0);
  return reshape(cotangent, x.shape());
}

}  // namespace

InputCotangents vjp_rule(const GroupNorm& op, const RuleContext& context) {
  const bool is_fused = op.has_scale || op.has_addend || op.pre_relu || op.has_residual || op.post_relu;
  check(!is_fused, "vjp", "a fused group_norm has no derivative: it appears after differentiation (layer '",
        context.graph.node(context.node).label, "')");
  const Value x = context.inputs[0], stats = context.outputs[1];
  InputCotangents out(context.inputs.size());
  if (const Value g = context.cotangents[0]; !g.is_empty()) {
    const GroupNormGrad grad{.groups = op.groups, .eps = op.eps, .affine = op.affine};
    out = from_output(grad, op.affine, {x, stats, g}, context);
  }
  if (const Value stats_bar = context.cotangents[1]; !stats_bar.is_empty() && context.needs[0]) {
    const NormView norm = NormView::of_group_norm(x.shape(), op.groups, op.eps);
    accumulate(out[0], from_group_statistics(norm, x, stats, stats_bar));
  }
  return out;
}

InputCotangents vjp_rule(const GroupNormGrad& op, const RuleContext& context) {
  return second_order(NormView::of_group_norm(context.inputs[0].shape(), op.groups, op.eps), 2, op.affine, context);
}

InputCotangents vjp_rule(const BatchNorm& op, const RuleContext& context) {
  const Value x = context.inputs[0], mean = context.outputs[1], variance = context.outputs[2];
  const double count = NormView::of_batch_norm(x.shape(), op.eps).count();
  InputCotangents out(context.inputs.size());
  if (const Value g = context.cotangents[0]; !g.is_empty()) {
    const BatchNormGrad grad{.eps = op.eps, .affine = op.affine};
    out = from_output(grad, op.affine, {x, mean, variance, g}, context);
  }
  if (!context.needs[0]) return out;
  if (const Value mean_bar = context.cotangents[1]; !mean_bar.is_empty()) {
    accumulate(out[0], broadcast_to(affine(mean_bar, 1 / count, 0), x.shape()));
  }
  if (const Value variance_bar = context.cotangents[2]; !variance_bar.is_empty()) {
    accumulate(out[0], (x - mean) * affine(variance_bar, 2 / count, 0));
  }
  return out;
}

InputCotangents vjp_rule(const BatchNormGrad& op, const RuleContext& context) {
  return second_order(NormView::of_batch_norm(context.inputs[0].shape(), op.eps), 3, op.affine, context);
}

}  // namespace deq
