#pragma once

#include <vector>

#include "solvers/low_rank_sum.h"

namespace deq {

/// One step of good Broyden on an inverse M kept as a LowRankSum. With q = M r (M before the update) and the last step
/// s:
///   v = M^T s,  u = q / (s.s - s.q),  next step = q s.s / (s.s - s.q).
/// Source: the update of the DEQ reference solvers, signs turned to M ~ (I - J)^-1.
class BroydenPair {
 public:
  BroydenPair(const StateSpec& spec, StateOps& ops, double breakdown);
  void layout(Slab& workspace);
  [[nodiscard]] StateView residual() const { return residual_; }

  /// The first step is the residual itself.
  void begin(SampleMask learning) { ops_->copy(spec_, residual_, step_, learning); }
  /// Forms the pair in `u` and `v` and turns the residual into the next step. Where s.s - s.q vanishes relative to
  /// s.s, u = 0 and the step is q. @returns updates skipped so
  int form(const LowRankSum& inverse, StateView u, StateView v, SampleMask learning);
  /// z += step.
  void move(StateView z, SampleMask advancing) { ops_->combine(spec_, 1.0, one_, single(step_), 1, z, advancing); }

 private:
  StateSpec spec_;
  StateOps* ops_;
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
