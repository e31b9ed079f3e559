#pragma once

#include <vector>

#include "core/state_ops.h"

namespace deq {

/// u -> J^T u + w: the adjoint system as a fixed-point map, around the linear map v -> J^T v.
class AffineMap final : public FixedPointMap {
 public:
  AffineMap(FixedPointMap& linear, StateView offset, StateOps& ops, std::span<const double> ones)
      : linear_(&linear), offset_(offset), ops_(&ops), ones_(ones) {}
  [[nodiscard]] const StateSpec& spec() const override { return linear_->spec(); }
  StateView input() override { return linear_->input(); }
  StateView output() override { return linear_->output(); }
  void replay() override {
    linear_->replay();
    ops_->combine(spec(), 1.0, ones_, single(offset_), 1, output(), {});
  }

 private:
  FixedPointMap* linear_;
  StateView offset_;
  StateOps* ops_;
  std::span<const double> ones_;  // [batch]
};

}  // namespace deq
