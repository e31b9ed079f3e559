#pragma once

#include "core/state_ops.h"

namespace deq {

/// Another estimate, except for samples that must not use it: there M = I.
class GuardedEstimate final : public InverseEstimate {
 public:
  /// @param excluded  [batch] nonzero where M = I
  GuardedEstimate(const InverseEstimate& of, const StateSpec& spec, StateOps& ops, SampleMask excluded)
      : of_(&of), spec_(&spec), ops_(&ops), excluded_(excluded) {}
  void apply(StateView x, StateView out) const override {
    of_->apply(x, out);
    ops_->copy(*spec_, x, out, excluded_);
  }
  void apply_transpose(StateView x, StateView out) const override {
    of_->apply_transpose(x, out);
    ops_->copy(*spec_, x, out, excluded_);
  }
  [[nodiscard]] std::span<const int> rank() const override { return of_->rank(); }

 private:
  const InverseEstimate* of_;
  const StateSpec* spec_;
  StateOps* ops_;
  SampleMask excluded_;
};

}  // namespace deq
