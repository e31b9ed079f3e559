#pragma once

#include "core/cuda/group_norm_quads.h"

// Lowering of group norms of which a cluster has a sample.

namespace deq::cuda {

/// The operands of GroupNorm; absent ones are null.
struct GroupNormOperands {
  NormInput input;
  const float *gamma, *beta, *residual;
  std::size_t count = 0;
  GroupNormOperands(const GroupNorm& op, const Operands& bound, const Shape& shape) {
    const auto take = [&](bool is_there) { return is_there ? bound.in(count++) : nullptr; };
    input.x = take(true), gamma = take(op.affine), beta = take(op.affine);
    input.scale = take(op.has_scale), input.addend = take(op.has_addend), residual = take(op.has_residual);
    input.pre_relu = op.pre_relu;
    input.sample = narrow(shape.elements() / shape[0]), input.channels = narrow(shape[-1]);
  }
  [[nodiscard]] QuadNorm norm(const GroupNorm& op) const {
    return {op.groups, op.eps, gamma, beta, residual, op.post_relu};
  }
};

template <class Launcher>
std::unique_ptr<Kernel> make_group_norm_quads(const Launcher& launcher, const GroupQuads& cut, const GroupNorm& op,
                                              const Shape& shape) {
  return make_kernel([=](const Operands& bound) {
    const GroupNormOperands own(op, bound, shape);
    with_quads(cut.own, [&](auto count) {
      using Program = GroupNormQuads<count.value, 1>;
      launcher.for_each_ranks(cut.samples, cut.ranks, cut.threads, Program::shared_bytes(cut),
                              Program{cut, own.input, {own.norm(op)}, bound.out(0), bound.out(1)});
    });
  });
}

/// GroupNormPair. None where a cluster has no room for a sample.
template <class Launcher>
std::unique_ptr<Kernel> lower_group_norm_pair(const KernelRequest& request, const Launcher& launcher,
                                              const GroupNormPair& op) {
  const Shape shape = request.inputs[0].shape;
  const auto cut = quads_of(op, shape, launcher.limits());
  if (!cut) no_kernel(request, "a sample is too large");
  return make_kernel([=, cut = *cut](const Operands& bound) {
    const GroupNormOperands own(op.first, bound, shape);
    QuadNorm second{.groups = op.second.groups, .eps = op.second.eps, .post_relu = op.second.post_relu};
    if (op.second.affine) second.gamma = bound.in(own.count), second.beta = bound.in(own.count + 1);
    with_quads(cut.own, [&](auto count) {
      using Program = GroupNormQuads<count.value, 2>;
      launcher.for_each_ranks(cut.samples, cut.ranks, cut.threads, Program::shared_bytes(cut),
                              Program{cut, own.input, {own.norm(op.first), second}, bound.out(0), nullptr});
    });
  });
}

}  // namespace deq::cuda
