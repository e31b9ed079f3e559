#include "layers/linear.h"

#include "core/error.h"

namespace deq::layers {

Linear::Linear(const ParamScope& scope, int in, int out, LinearOptions options) : label(scope.prefix()) {
  check(in >= 1 && out >= 1, "linear", in, " -> ", out, " features: each must be at least 1 (layer '", label, "')");
  if (options.spectral_norm)
    normed = SpectralNorm(scope, {out, in}, init::fan_in(in), *options.spectral_norm);
  else
    weight = Parameter(scope, "weight", {out, in}, init::fan_in(in));
  if (options.has_bias) bias = Parameter(scope, "bias", {out}, init::fan_in(in));
}

Value Linear::operator()(Value x) const {
  const Scope named(x.owner("linear", label), label);
  const Shape shape = x.shape();
  const Shape wanted = (weight.is_absent() ? normed.weight : weight).tensor()->shape();
  check(shape.rank() >= 1 && shape[-1] == wanted[1], "linear", "input ", x.type(), " ends in another extent than ",
        wanted[1], " (layer '", label, "')");
  const bool is_matrix = shape.rank() == 2;
  const Value rows = is_matrix ? x : reshape(x, {shape.elements() / wanted[1], wanted[1]});
  Value y = matmul(rows, effective_weight(x), false, true);
  if (!bias.is_absent()) y = y + bias(x);
  return is_matrix ? y : reshape(y, shape.with(-1, wanted[0]));
}

}  // namespace deq::layers
