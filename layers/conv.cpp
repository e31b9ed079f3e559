#include "layers/conv.h"

#include "core/error.h"

namespace deq::layers {

Conv2d::Conv2d(const ParamScope& scope, int in, int out, int kernel, const ConvOptions& options)
    : geometry{.stride = options.stride, .pad = options.pad, .groups = options.groups}, label(scope.prefix()) {
  check(in >= 1 && out >= 1 && kernel >= 1 && options.groups >= 1, "conv2d", in, " -> ", out, " channels, kernel ",
        kernel, ", ", options.groups, " groups: each must be at least 1 (layer '", label, "')");
  check(in % options.groups == 0 && out % options.groups == 0, "conv2d", in, " -> ", out,
        " channels do not divide into ", options.groups, " groups (layer '", label, "')");
  const Shape shape{out, in / options.groups, kernel, kernel};
  const init::Initializer start = options.start.value_or(init::fan_in(shape[1] * kernel * kernel));
  check(!options.has_weight_norm || !options.spectral_norm, "conv2d",
        "weight norm and spectral norm exclude each other (layer '", label, "')");
  if (options.spectral_norm)
    bounded = SpectralNorm(scope, shape, start, *options.spectral_norm);
  else if (options.has_weight_norm)
    normed = WeightNorm(scope, shape, start);
  else
    weight = Parameter(scope, "weight", shape, start);
  if (options.has_bias) bias = Parameter(scope, "bias", {out}, start);
}

Value Conv2d::effective_weight(Value like) const {
  if (!weight.is_absent()) return weight(like);
  return normed.v.is_absent() ? bounded(like) : normed(like);
}

Value Conv2d::operator()(Value x) const {
  const Scope named(x.owner("conv2d", label), label);
  const Value y = conv2d(x, effective_weight(x), geometry);
  return bias.is_absent() ? y : y + bias(x);
}

}  // namespace deq::layers
