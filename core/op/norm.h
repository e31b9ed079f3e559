#pragma once

#include <cstddef>
#include <cstdint>

namespace deq {

/// x [B,..,C]; per sample and group of C/groups channels over all inner axes: y = (x - mean) / sqrt(var + eps)
/// [* gamma[C] + beta[C]]. Inputs: x [, gamma, beta] [, addend] with attributes saying which are there.
/// Outputs: y, stats f32[B,groups,2] (mean, 1/sqrt(var+eps) of the normalised input).
/// Fused neighbours, for graphs that are not differentiated any more (rewrites set all but `pre_relu`): x is multiplied
/// by scale [B,1,..,1,C] when `has_scale`; x' = x + addend when `has_addend` (addend like x), x'' = relu(x') when
/// `pre_relu`; y = relu(y) when `post_relu`; y += residual (before post_relu) when `has_residual`. Input order: x,
/// gamma, beta, scale, addend, residual (those present).
struct GroupNorm {
  int groups = 1;
  double eps = 1e-5;
  bool affine = false;
  bool has_scale = false;
  bool has_addend = false;
  bool pre_relu = false;
  bool has_residual = false;
  bool post_relu = false;
  bool operator==(const GroupNorm&) const = default;
  [[nodiscard]] std::size_t inputs() const {
    return 1U + (affine ? 2U : 0U) + (has_scale ? 1U : 0U) + (has_addend ? 1U : 0U) + (has_residual ? 1U : 0U);
  }
  /// Position of the scale among the inputs, if there is one.
  [[nodiscard]] std::size_t scale_input() const { return affine ? 3 : 1; }
  /// True when y may lie over `input`, if that is as large: all but parameters and scale, which serve many elements.
  [[nodiscard]] bool may_overwrite(std::size_t input) const {
    return input == 0 || (input > (affine ? 2U : 0U) && !(has_scale && input == scale_input()));
  }
};
/// group_norm(group_norm(x)), without statistics: what lies between never leaves the kernel. The second has no fused
/// neighbours but `post_relu`. Inputs: those of the first [, gamma and beta of the second]. Inserted by a rewrite for
/// backends that have it; no derivative.
struct GroupNormPair {
  GroupNorm first, second;
  bool operator==(const GroupNormPair&) const = default;
  [[nodiscard]] bool may_overwrite(std::size_t input) const {
    return input < first.inputs() && first.may_overwrite(input);
  }
};
/// w = v * ratio with ratio = g / norm and norm the root of the sum of v's squares over all axes but the first. Inputs
/// v [O,..] and g [O,1,..,1]; outputs w like v, ratio and norm like g. Inserted by a rewrite; no derivative.
struct WeightNorm {
  bool operator==(const WeightNorm&) const = default;
};
/// Inputs x, stats, g [, gamma]; outputs dx and, when affine, dgamma[C], dbeta[C]. `stats` must be those of x
/// (its dependence on x is part of the derivative; it gets no cotangent of its own).
struct GroupNormGrad {
  int groups = 1;
  double eps = 1e-5;
  bool affine = false;
  bool operator==(const GroupNormGrad&) const = default;
};
/// Training-mode batch norm: per channel over all axes but the last. Inputs x [, gamma, beta]; outputs y, mean[C],
/// variance[C] (biased). Inference mode is ordinary arithmetic with the running statistics.
struct BatchNorm {
  double eps = 1e-5;
  bool affine = false;
  bool operator==(const BatchNorm&) const = default;
};
/// Inputs x, mean, variance, g [, gamma]; outputs dx and, when affine, dgamma[C], dbeta[C]. As GroupNormGrad.
struct BatchNormGrad {
  double eps = 1e-5;
  bool affine = false;
  bool operator==(const BatchNormGrad&) const = default;
};

}  // namespace deq
