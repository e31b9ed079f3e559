#include "layers/attention.h"

#include <cmath>

#include "core/composed.h"
#include "core/error.h"

namespace deq::layers {

namespace {

constexpr float kUnseen = -1e9F;  // its exponential is 0, and finite ones are left even if every key is masked

/// Checks come before any parameter is made.
int checked_heads(const ParamScope& scope, int width, int heads) {
  check(width >= 1 && heads >= 1 && width % heads == 0, "self_attention", "width ", width, " does not divide into ",
        heads, " heads (layer '", scope.prefix(), "')");
  return heads;
}

Value sum_of(Value a, Value b) { return a.is_empty() ? b : b.is_empty() ? a : a + b; }

}  // namespace

Value attention(Value q, Value k, Value v, Value mask) {
  const Shape& shape = q.shape("attention");
  check(shape.rank() == 4 && shape[-1] >= 1, "attention", "queries must be [batch, heads, queries, features], got ",
        q.type());
  // The scale goes to the queries, which are fewer than the scores.
  const Value scores = matmul(q * (1.0 / std::sqrt(static_cast<double>(shape[-1]))), k, false, true);
  return matmul(softmax(sum_of(scores, mask)), v);
}

Value causal_mask(Graph& graph, std::int64_t length) {
  check(length >= 1, "causal_mask", "a sequence has at least one row, got ", length);
  Tensor mask(DType::f32, {length, length});
  for (std::int64_t query = 0; query < length; ++query)
    for (std::int64_t key = query + 1; key < length; ++key)
      mask.data<float>()[static_cast<std::size_t>(query * length + key)] = kUnseen;
  return constant(graph, mask);
}

SelfAttention::SelfAttention(const ParamScope& scope, int width, int head_count, AttentionOptions chosen)
    : heads(checked_heads(scope, width, head_count)),
      options(chosen),
      weight(scope, "in_proj_weight", {3 * width, width}, init::fan_in(width)),
      bias(options.has_bias ? Parameter(scope, "in_proj_bias", {3 * width}, init::fan_in(width)) : Parameter()),
      out(scope / "out_proj", width, width, {.has_bias = options.has_bias}),
      label(scope.prefix()) {}

Value SelfAttention::operator()(Value x, Value mask) const {
  Graph& graph = x.owner("self_attention", label);
  const Scope named(graph, label);
  const Shape shape = x.shape();
  const std::int64_t width = weight.tensor()->shape()[1];
  check(shape.rank() == 3 && shape[-1] == width, "self_attention", "input ", x.type(), " is not [batch, length, ",
        width, "] (layer '", label, "')");
  if (options.is_causal) mask = sum_of(causal_mask(graph, shape[1]), mask);
  const Value rows = reshape(x, {shape[0] * shape[1], width});
  const Value heard = attention(projected(rows, 0, shape), projected(rows, 1, shape), projected(rows, 2, shape), mask);
  return out(reshape(transpose(heard, {0, 2, 1, 3}), shape));
}

Value SelfAttention::projected(Value rows, int part, const Shape& sequence) const {
  // The weight is cut, not the rows: weights change once a step, rows in every evaluation of a solve.
  const std::int64_t width = sequence[2], first = part * width;
  Value y = matmul(rows, slice(weight(rows), 0, first, first + width), false, true);
  if (!bias.is_absent()) y = y + slice(bias(rows), 0, first, first + width);
  return transpose(reshape(y, {sequence[0], sequence[1], heads, width / heads}), {0, 2, 1, 3});
}

}  // namespace deq::layers
