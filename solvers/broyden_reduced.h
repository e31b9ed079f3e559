#pragma once

#include <vector>

#include "solvers/broyden_pair.h"
#include "solvers/method.h"
#include "solvers/pair_memory.h"

namespace deq {

/// Broyden's method in a memory smaller than its steps: pairs u v^T that are reduced by their smallest singular
/// directions when the memory is full. Overwriting the oldest pair instead loses convergence where |J| >> 1.
/// The update is that of BroydenLowRankMethod, the iterates are the same until the memory is full.
class BroydenReducedMethod final : public Method {
 public:
  BroydenReducedMethod(const StateSpec& spec, StateOps& ops, const Broyden& options, EstimateUse use);
  void layout(Slab& workspace, Slab& estimate) override;
  /// Ignores `base`: the sum starts at I.
  void start(const InverseEstimate* base) override;
  StateView residual_slot(int) override { return pair_.residual(); }
  int advance(const Iterate& iterate) override;
  void truncate(int sample, int) override { pairs_.cut_back(sample); }
  [[nodiscard]] const InverseEstimate& estimate() const override { return pairs_.sum(); }
  [[nodiscard]] MethodCounts counts() const override { return {.restarts = pairs_.reductions()}; }

 private:
  PairMemory pairs_;
  BroydenPair pair_;
};

}  // namespace deq
