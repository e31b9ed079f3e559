#pragma once

#include <vector>

#include "solvers/method.h"
#include "solvers/pair_memory.h"

namespace deq {

/// Adjoint Broyden: M learns what the transposed Jacobian does to the residual. With sigma = r / |r| at the new
/// iterate and one product with J^T,
///   b = M^T (sigma - J^T sigma),  M+ = M + M sigma (sigma - b)^T / (b . sigma)   =>   sigma^T M+^-1 = sigma^T (I - J),
/// and the next step is M+ r. The update does not depend on the length of sigma. Extra updates put sigma along M^T v,
/// v the gradient of the outer loss: then v^T M -> v^T (I - J)^-1, which is what the backward reads from M.
class AdjointBroydenMethod final : public Method {
 public:
  AdjointBroydenMethod(const StateSpec& spec, StateOps& ops, const AdjointBroyden& options, int max_steps,
                       EstimateUse use);
  void layout(Slab& workspace, Slab& estimate) override;
  /// Ignores `base`: the sum starts at I.
  void start(const InverseEstimate* base) override;
  StateView residual_slot(int) override { return residual_; }
  int advance(const Iterate& iterate) override;
  void truncate(int sample, int) override { pairs_.cut_back(sample); }
  [[nodiscard]] const InverseEstimate& estimate() const override { return pairs_.sum(); }
  [[nodiscard]] MethodCounts counts() const override {
    return {.restarts = pairs_.reductions(), .jacobian_products = jacobian_products_};
  }

 private:
  /// The extra update belongs to the iterate before every `outer_every`th step, after the ordinary one, so that
  /// nothing moves M^T v away from what it learnt.
  [[nodiscard]] bool updates_outer(int step) const;
  int update_outer(const Iterate& iterate);
  /// Normalises sigma_ and learns from it; product_ = M sigma with M before. @returns updates skipped
  int update(const Iterate& iterate);

  StateSpec spec_;
  StateOps* ops_;
  AdjointBroyden options_;
  PairMemory pairs_;
  int jacobian_products_ = 0;
  StateView residual_;
  StateView sigma_;
  StateView product_;                // M sigma
  std::vector<double> length_;       // [batch] |sigma| before it was normalised
  std::vector<double> along_;        // [batch] b . sigma
  std::vector<double> norm2_;        // [batch] b . b
  std::vector<double> coefficient_;  // [batch]
  std::vector<double> gain_;         // [batch] M+ sigma over M sigma
  const std::vector<double> one_;
};

}  // namespace deq
