#pragma once

#include <vector>

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
  StateView residual_slot(int) override { return residual_; }
  int advance(const Iterate& iterate) override;
  void truncate(int sample, int) override { pairs_.cut_back(sample); }
  [[nodiscard]] const InverseEstimate& estimate() const override { return pairs_.sum(); }
  [[nodiscard]] MethodCounts counts() const override { return {.restarts = pairs_.reductions()}; }

 private:
  /// Turns the residual into the next step. @returns updates skipped
  int learn(const Iterate& iterate);

  StateSpec spec_;
  StateOps* ops_;
  PairMemory pairs_;
  double breakdown_;
  StateView residual_;
  StateView step_;               // s
  StateView product_;            // q = M r
  std::vector<double> along_;    // [batch] s.q
  std::vector<double> norm2_;    // [batch] s.s
  std::vector<double> u_scale_;  // [batch]
  std::vector<double> s_scale_;  // [batch]
  const std::vector<double> one_;
};

}  // namespace deq
