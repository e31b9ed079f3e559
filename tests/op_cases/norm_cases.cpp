#include "core/builder.h"
#include "tests/op_cases/families.h"

namespace deq::op_cases {
namespace {

constexpr double kEps = 1e-5;

struct GroupNormRow {
  Shape x;
  int groups;
};

/// Groups of one channel, of all channels, odd sizes, no inner axes, one inner element.
const std::vector<GroupNormRow> kGroupNorms{{{2, 3, 5, 4}, 2}, {{2, 3, 4, 6}, 3}, {{1, 4, 3, 5}, 1},
                                            {{3, 5, 2, 3}, 3}, {{2, 6}, 2},       {{4, 7}, 1},
                                            {{2, 1, 1, 8}, 4}, {{1, 9, 1, 2}, 2}, {{2, 5, 12}, 4}};

std::vector<CaseInput> affine_inputs(const Shape& x, bool is_affine) {
  std::vector<CaseInput> inputs{variable("x", x, -2, 2)};
  if (is_affine) {
    inputs.push_back(variable("gamma", {x[-1]}, 0.5, 1.5));
    inputs.push_back(variable("beta", {x[-1]}));
  }
  return inputs;
}

void add_group_norm(Cases& cases, const GroupNormRow& row, bool is_affine) {
  const std::string what = concat(row.x, " groups ", row.groups, is_affine ? " affine" : "");
  cases.push_back({.name = concat("group_norm: ", what),
                   .inputs = affine_inputs(row.x, is_affine),
                   .build = [groups = row.groups, is_affine](Graph&, const Values& in) {
                     const GroupNormValues out =
                         is_affine ? group_norm(in[0], groups, kEps, in[1], in[2]) : group_norm(in[0], groups, kEps);
                     return Values{out.y, out.stats};
                   }});
  // The statistics come from x itself, as the op demands.
  std::vector<CaseInput> inputs{variable("x", row.x, -2, 2), variable("g", row.x)};
  if (is_affine) inputs.push_back(variable("gamma", {row.x[-1]}, 0.5, 1.5));
  cases.push_back({.name = concat("group_norm_grad: ", what),
                   .inputs = inputs,
                   .build =
                       [groups = row.groups, is_affine](Graph& graph, const Values& in) {
                         Values operands{in[0], group_norm(in[0], groups, kEps).stats, in[1]};
                         if (is_affine) operands.push_back(in[2]);
                         return graph.add(GroupNormGrad{groups, kEps, is_affine}, operands);
                       },
                   .differentiable_outputs = is_affine ? 3 : 1});
}

void add_batch_norm(Cases& cases, const Shape& x, bool is_affine) {
  const std::string what = concat(x, is_affine ? " affine" : "");
  cases.push_back({.name = concat("batch_norm: ", what),
                   .inputs = affine_inputs(x, is_affine),
                   .build = [is_affine](Graph&, const Values& in) {
                     const BatchNormValues out =
                         is_affine ? batch_norm(in[0], kEps, in[1], in[2]) : batch_norm(in[0], kEps);
                     return Values{out.y, out.mean, out.variance};
                   }});
  std::vector<CaseInput> inputs{variable("x", x, -2, 2), variable("g", x)};
  if (is_affine) inputs.push_back(variable("gamma", {x[-1]}, 0.5, 1.5));
  cases.push_back({.name = concat("batch_norm_grad: ", what),
                   .inputs = inputs,
                   .build =
                       [is_affine](Graph& graph, const Values& in) {
                         const BatchNormValues norm = batch_norm(in[0], kEps);
                         Values operands{in[0], norm.mean, norm.variance, in[1]};
                         if (is_affine) operands.push_back(in[2]);
                         return graph.add(BatchNormGrad{kEps, is_affine}, operands);
                       },
                   .differentiable_outputs = is_affine ? 3 : 1});
}

/// [O,1,..,1] of v [O,..].
Shape lengths_of(Shape v) {
  for (int axis = 1; axis < v.rank(); ++axis) v = v.with(axis, 1);
  return v;
}

/// A GroupNorm with the neighbours that rewrites fold into it.
OpCase fused_case(const GroupNormRow& row, GroupNorm op) {
  std::vector<CaseInput> inputs{fixed("x", row.x, -2, 2)};
  if (op.affine) {
    inputs.push_back(fixed("gamma", {row.x[-1]}, 0.5, 1.5));
    inputs.push_back(fixed("beta", {row.x[-1]}));
  }
  if (op.has_scale) {
    Shape scale = row.x;
    for (int axis = 1; axis + 1 < row.x.rank(); ++axis) scale = scale.with(axis, 1);
    inputs.push_back(fixed("scale", scale, 0.5, 1.5));
  }
  if (op.has_addend) inputs.push_back(fixed("addend", row.x));
  if (op.has_residual) inputs.push_back(fixed("residual", row.x));
  op.groups = row.groups;
  op.eps = kEps;
  return {.name = concat("group_norm fused: ", row.x, " groups ", row.groups, op.affine ? " affine" : "",
                         op.has_scale ? " scale" : "", op.has_addend ? " addend" : "", op.pre_relu ? " pre_relu" : "",
                         op.has_residual ? " residual" : "", op.post_relu ? " post_relu" : ""),
          .inputs = inputs,
          .build = [op](Graph& graph, const Values& in) { return graph.add(op, in); },
          .differentiable_outputs = 0};
}

}  // namespace

void add_norm(Cases& cases) {
  for (const bool is_affine : {false, true}) {
    for (const GroupNormRow& row : kGroupNorms) add_group_norm(cases, row, is_affine);
    for (const Shape& x : {Shape{3, 2, 5, 4}, Shape{7, 3}, Shape{2, 3, 1, 1}, Shape{1, 5, 3, 2}, Shape{2, 4, 9}}) {
      add_batch_norm(cases, x, is_affine);
    }
  }
}

void add_fused_norm(Cases& cases) {
  for (const Shape& v : {Shape{3, 4, 2, 3}, Shape{5, 7}, Shape{1, 70, 3, 3}, Shape{2, 1, 1, 1}})
    cases.push_back({.name = concat("weight_norm: ", v),
                     .inputs = {fixed("v", v, 0.2, 1), fixed("g", lengths_of(v))},
                     .build = [](Graph& graph, const Values& in) { return graph.add(WeightNorm{}, in); },
                     .differentiable_outputs = 0});
  const std::vector<GroupNormRow> rows{{{2, 3, 5, 4}, 2}, {{1, 4, 3, 6}, 3}, {{3, 8}, 1}, {{2, 1, 1, 17}, 1}};
  for (int flags = 1; flags < 64; ++flags) {
    const GroupNorm op{.affine = (flags & 16) != 0,
                       .has_scale = (flags & 32) != 0,
                       .has_addend = (flags & 1) != 0,
                       .pre_relu = (flags & 2) != 0,
                       .has_residual = (flags & 4) != 0,
                       .post_relu = (flags & 8) != 0};
    if ((flags & 47) == 0) continue;
    for (const GroupNormRow& row : rows) cases.push_back(fused_case(row, op));
  }
}

}  // namespace deq::op_cases
