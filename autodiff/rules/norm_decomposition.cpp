#include "autodiff/rules/norm_decomposition.h"

#include "core/builder.h"

namespace deq {
namespace {

/// Product of the extents from axis `first` to the last but one. No quotient of elements, which an empty batch lacks.
std::int64_t inner_extent(const Shape& x, int first) {
  std::int64_t product = 1;
  for (int axis = first; axis + 1 < x.rank(); ++axis) product *= x[axis];
  return product;
}

}  // namespace

NormView NormView::of_group_norm(const Shape& x, int groups, double eps) {
  return {.view = {x[0], inner_extent(x, 1), groups, x[-1] / groups}, .eps = eps};
}

NormView NormView::of_batch_norm(const Shape& x, double eps) {
  return {.view = {1, inner_extent(x, 0), x[-1], 1}, .eps = eps};
}

NormGradValues decompose_norm_grad(const NormView& norm, Value x, Value g, Value gamma) {
  const auto set_mean = [](Value v) { return mean(v, {1, 3}, /*keep_dims=*/true); };
  const auto per_channel = [&](Value v) { return reshape(sum(v, {0, 1}), gamma.shape()); };

  const Value x_view = reshape(x, norm.view), g_view = reshape(g, norm.view);
  const Value centred = x_view - set_mean(x_view);
  const Value inverse_deviation = reciprocal(sqrt(set_mean(square(centred)) + norm.eps));
  const Value normalised = centred * inverse_deviation;

  const bool is_affine = !gamma.is_empty();
  const Value scaled = is_affine ? g_view * reshape(gamma, {1, 1, norm.view[2], norm.view[3]}) : g_view;
  const Value dx = inverse_deviation * (scaled - set_mean(scaled) - normalised * set_mean(scaled * normalised));

  NormGradValues out{.dx = reshape(dx, x.shape()), .dgamma = {}, .dbeta = {}};
  if (is_affine) {
    out.dgamma = per_channel(g_view * normalised);
    out.dbeta = per_channel(g_view);
  }
  return out;
}

}  // namespace deq
