#pragma once

#include "solvers/identity_estimate.h"
#include "solvers/method.h"

namespace deq {

/// z <- (1 - damping) z + damping f(z). Learns nothing: M = I.
class PicardMethod final : public Method {
 public:
  PicardMethod(const StateSpec& spec, StateOps& ops, const Picard& options);
  void layout(Slab&, Slab&) override {}
  void start(const InverseEstimate*) override {}
  StateView residual_slot(int) override { return {}; }
  int advance(const Iterate& iterate) override;
  void truncate(int, int) override {}
  [[nodiscard]] const InverseEstimate& estimate() const override { return estimate_; }

 private:
  StateSpec spec_;
  StateOps* ops_;
  double damping_;
  std::vector<double> coefficient_;  // [batch] damping
  IdentityEstimate estimate_;
};

}  // namespace deq
