#pragma once

#include <vector>

#include "core/state_ops.h"

namespace deq {

/// M = I: what Picard iteration and the Jacobian-free gradient use.
class IdentityEstimate final : public InverseEstimate {
 public:
  IdentityEstimate(const StateSpec& spec, StateOps& ops)
      : spec_(spec), ops_(&ops), rank_(static_cast<std::size_t>(spec.batch), 0) {}
  void apply(StateView x, StateView out) const override { ops_->copy(spec_, x, out, {}); }
  void apply_transpose(StateView x, StateView out) const override { ops_->copy(spec_, x, out, {}); }
  [[nodiscard]] std::span<const int> rank() const override { return rank_; }

 private:
  StateSpec spec_;
  StateOps* ops_;
  std::vector<int> rank_;
};

}  // namespace deq
