#pragma once

#include <memory>

#include "core/builder.h"
#include "layers/parameter.h"

namespace deq::layers {

/// Multiplies by a mask of Bernoulli(1-p)/(1-p) in training graphs; the identity in inference or when p is 0.
///
/// The mask is a value of batch rate that belongs to the layer, not to the call: it stays the same through a solve, in
/// the evaluation at the solution and in the backward solve, and a layer applied twice to one shape masks alike.
struct Dropout {
  /// Errors: p outside [0, 1).
  Dropout(const ParamScope& scope, double p);

  Value operator()(Value x) const;

  double p;
  std::uint32_t site;
  std::string label;
  /// Multiplies by this instead of drawing, when set: to compare with a computation that drew otherwise.
  std::shared_ptr<Tensor> fixed_mask{};
};

/// As Dropout, with one draw per sample and channel: x [B,..,C], mask [B,1..,C].
/// Source: Gal, Ghahramani, A Theoretically Grounded Application of Dropout in Recurrent Networks, NeurIPS 2016.
struct VariationalDropout {
  VariationalDropout(const ParamScope& scope, double p) : element(scope, p) {}

  Value operator()(Value x) const;

  Dropout element;
};

}  // namespace deq::layers
