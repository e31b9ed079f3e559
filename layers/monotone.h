#pragma once

#include "core/builder.h"
#include "layers/parameter.h"

namespace deq::layers {

/// A square linear map W, [.., n] -> [.., n], for equilibria z = act(W z + x) that have exactly one solution whatever
/// the parameters and x are: the symmetric part of I - W is at least `margin`. It holds for activations that are
/// proximal operators of convex functions, as relu, tanh, sigmoid and softmax are.
///
/// W = (1 - margin) I - A^T A + B - B^T with parameters `A` and `B` [n, n], U(+-1/sqrt(n)) at the start. It depends on
/// parameters only and is computed once a step, not in the solver's loop.
/// Source: Winston, Kolter, Monotone operator equilibrium networks, NeurIPS 2020.
struct Monotone {
  /// Errors: width below 1, margin outside (0, 1].
  Monotone(const ParamScope& scope, int width, double margin = 0.2);

  /// W z.
  Value operator()(Value z) const;
  /// (1 - step) z + step (W z + x). With it z -> act(..) has the same solution for relu, and plain iteration reaches it
  /// for steps below 2 margin / |I - W|^2 (forward-backward splitting), where z -> act(W z + x) itself may diverge.
  /// Errors: step not above 0.
  [[nodiscard]] Value forward_backward(Value z, Value x, double step) const;
  /// W [n, n].
  [[nodiscard]] Value weight(Value like) const;

  Parameter a, b;
  double margin;
  std::string label;
};

}  // namespace deq::layers
