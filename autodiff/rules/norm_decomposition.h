#pragma once

#include "core/graph.h"

namespace deq {

/// How a normalisation sees its operand: [outer, reduced, sets, members] with statistics over axes 1 and 3.
/// Group norm of [B,..,C]: [B, inner, groups, C/groups]. Batch norm: [1, all but C, C, 1].
struct NormView {
  Shape view;
  double eps = 0;

  static NormView of_group_norm(const Shape& x, int groups, double eps);
  static NormView of_batch_norm(const Shape& x, double eps);

  /// Elements that share one mean and variance.
  [[nodiscard]] double count() const { return static_cast<double>(view[1] * view[3]); }
};

struct NormGradValues {
  Value dx, dgamma, dbeta;
};

/// GroupNormGrad and BatchNormGrad written out in primitive operations as functions of x, g and gamma (empty: ones), so
/// that they can be differentiated: the statistics are computed from x again. dgamma and dbeta are empty without gamma.
NormGradValues decompose_norm_grad(const NormView& norm, Value x, Value g, Value gamma);

}  // namespace deq
