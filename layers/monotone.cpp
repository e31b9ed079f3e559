#include "layers/monotone.h"

#include <vector>

#include "core/error.h"

namespace deq::layers {
namespace {

Tensor identity(std::int64_t n) {
  Tensor out(DType::f32, {n, n});
  for (std::int64_t i = 0; i < n; ++i) out.data<float>()[static_cast<std::size_t>(i * n + i)] = 1;
  return out;
}

}  // namespace

Monotone::Monotone(const ParamScope& scope, int width, double chosen) : margin(chosen), label(scope.prefix()) {
  check(width >= 1, "monotone", "width ", width, ", expected at least 1 (layer '", label, "')");
  check(margin > 0 && margin <= 1, "monotone", "the margin is ", margin, " but must be in (0, 1] (layer '", label,
        "')");
  a = Parameter(scope, "A", {width, width}, init::fan_in(width));
  b = Parameter(scope, "B", {width, width}, init::fan_in(width));
}

Value Monotone::weight(Value like) const {
  const Value skew = b(like) - transpose(b(like), {1, 0});
  const Value eye = constant(*skew.graph, identity(skew.shape()[0]));
  return eye * (1.0 - margin) - matmul(a(like), a(like), true, false) + skew;
}

Value Monotone::operator()(Value z) const {
  const Scope named(z.owner("monotone", label), label);
  const std::int64_t width = a.tensor()->shape()[0];
  check(z.shape().rank() >= 2 && z.shape()[-1] == width, "monotone", "input ", z.type(), " does not end in ", width,
        " (layer '", label, "')");
  return matmul(z, weight(z), false, true);
}

Value Monotone::forward_backward(Value z, Value x, double step) const {
  check(step > 0, "monotone", "the step is ", step, " but must be above 0 (layer '", label, "')");
  return z * (1.0 - step) + ((*this)(z) + x) * step;
}

}  // namespace deq::layers
