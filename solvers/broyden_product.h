#pragma once

#include <vector>

#include "solvers/method.h"

namespace deq {

/// Inverse estimate left behind by Broyden's method with unit steps, kept as the steps alone.
///
/// M = prod_k (I + c_k s_{k+1} s_k^T) M0, c_k = 1 / |s_k|^2, later factors on the left, per sample. With p = M r
/// (before the update) the next step is s_{n+1} = p / (1 - s_n^T p / |s_n|^2). A skipped update is a factor with c_k =
/// 0. Satisfies M (r_n - r_{n-1}) = -s_{n-1}.
///
/// Memory: capacity + 1 states, half of that in bf16. Cost of apply: one pass over the stored steps.
/// Source: C. T. Kelley, Iterative Methods for Linear and Nonlinear Equations, SIAM 1995, chapter 7.
class BroydenProduct final : public InverseEstimate {
 public:
  /// @param capacity  most updates kept, >= 1
  /// Errors: a history in a type that the device does not store.
  BroydenProduct(const StateSpec& spec, StateOps& ops, int capacity, double breakdown,
                 StepHistory history = StepHistory::full);

  /// Takes the steps from `steps`, and from `scratch` one state that a start with a base needs, and one for the newest
  /// step before it is rounded.
  void layout(Slab& steps, Slab& scratch);
  /// M = M0 for all samples; `base` (null: I) must live until the next start.
  void start(const InverseEstimate* base);
  /// M = M0 for these samples; their steps are forgotten.
  void restart(SampleMask samples);
  [[nodiscard]] int capacity() const { return capacity_; }
  /// Where to put the residual of the iterate reached after `index` steps since the (re)start, index <= capacity.
  [[nodiscard]] StateView residual_slot(int index) const;
  /// Learns from that residual, turns it into the next step in its slot and adds it to z of `advancing`. Whether an
  /// update was skipped is known after StateOps::settle.
  void step(int index, StateView z, SampleMask learning, SampleMask advancing);
  /// Updates that the last step skipped.
  [[nodiscard]] int skipped() const;
  /// Keeps the first `rank` factors of a sample.
  void truncate(int sample, int rank) { rank_[static_cast<std::size_t>(sample)] = rank; }

  void apply(StateView x, StateView out) const override;
  void apply_transpose(StateView x, StateView out) const override;
  [[nodiscard]] std::span<const int> rank() const override { return rank_; }

 private:
  [[nodiscard]] ProductFactors factors() const { return {steps_, coefficient_, rank_, stored_}; }
  [[nodiscard]] bool is_rounded() const { return stored_ != spec_.dtype; }
  /// Where p = M r is formed at this index: the slot itself, or a state beside the rounded ones.
  [[nodiscard]] StateView unrounded(int index) const { return is_rounded() ? newest_ : steps_.at(index); }

  StateSpec spec_;
  StateOps* ops_;
  DType stored_;
  int capacity_;
  double breakdown_;
  const InverseEstimate* base_ = nullptr;
  StateStack steps_;                 // [capacity + 1] states of type stored_
  StateView scratch_;                // residual before M0, or M^T x before M0^T
  StateView newest_;                 // the newest step before it is rounded
  std::vector<double> coefficient_;  // [capacity + 1, batch]
  std::vector<int> rank_;
  std::vector<std::uint8_t> broke_;
};

/// Broyden's method in the product form. When the memory is full all samples still running restart from M0.
class BroydenProductMethod final : public Method {
 public:
  BroydenProductMethod(const StateSpec& spec, StateOps& ops, const Broyden& options, int max_steps);
  void layout(Slab& workspace, Slab& estimate) override { estimate_.layout(estimate, workspace); }
  void start(const InverseEstimate* base) override;
  StateView residual_slot(int step) override;
  int advance(const Iterate& iterate) override;
  void truncate(int sample, int best_step) override;
  [[nodiscard]] const InverseEstimate& estimate() const override { return estimate_; }
  [[nodiscard]] MethodCounts counts() const override {
    return {.restarts = restarts_, .breakdowns = estimate_.skipped()};
  }

 private:
  BroydenProduct estimate_;
  int restarts_ = 0;
  int restarted_at_ = 0;                // step at which the slots were last emptied
  std::vector<int> sample_started_at_;  // [batch] the same for each sample, kept when the sample stops
};

}  // namespace deq
