#pragma once

#include <vector>

#include "solvers/broyden_pair.h"
#include "solvers/method.h"
#include "solvers/options.h"

namespace deq {

/// Broyden's method with its inverse as a LowRankSum.
/// Same iterates as the product form at twice the memory; here to check it and for pairs that are no steps.
class BroydenLowRankMethod final : public Method {
 public:
  BroydenLowRankMethod(const StateSpec& spec, StateOps& ops, const Broyden& options, int max_steps);
  void layout(Slab& workspace, Slab& estimate) override;
  /// Ignores `base`: the sum starts at I.
  void start(const InverseEstimate* base) override;
  StateView residual_slot(int) override { return pair_.residual(); }
  int advance(const Iterate& iterate) override;
  void truncate(int sample, int best_step) override;
  [[nodiscard]] const InverseEstimate& estimate() const override { return estimate_; }
  [[nodiscard]] MethodCounts counts() const override { return {.restarts = restarts_}; }

 private:
  LowRankSum estimate_;
  BroydenPair pair_;
  int restarts_ = 0;
  int restarted_at_ = 0;
  std::vector<int> sample_started_at_;
};

}  // namespace deq
