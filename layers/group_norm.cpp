#include "layers/group_norm.h"

#include "core/error.h"

namespace deq::layers {

GroupNorm::GroupNorm(const ParamScope& scope, int channels, int group_count, NormOptions options)
    : groups(group_count), eps(options.eps), label(scope.prefix()) {
  check(groups >= 1 && channels >= 1 && channels % groups == 0, "group_norm", channels, " channels do not divide into ",
        groups, " groups (layer '", label, "')");
  if (!options.is_affine) return;
  weight = Parameter(scope, "weight", {channels}, init::ones());
  bias = Parameter(scope, "bias", {channels}, init::zeros());
}

Value GroupNorm::operator()(Value x) const {
  const Scope named(x.owner("group_norm", label), label);
  return group_norm(x, groups, eps, weight(x), bias(x)).y;
}

}  // namespace deq::layers
