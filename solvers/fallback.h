#pragma once

#include <memory>
#include <string>
#include <vector>

#include "solvers/loop.h"

namespace deq {

/// A chain of solvers: samples that the first ends as stalled, diverged or nonfinite go on with the next, from their
/// best iterates, and so on; the others keep their results to the bit. The report says per sample which solver ended
/// it and how the one before failed; its `method` names the solvers that ran, "anderson > broyden".
///
/// Memory: that of the largest link (every link touches only the rows of its own samples), and one state.
class FallbackSolver final : public FixedPointSolver {
 public:
  /// @param links  in order of trial, at least one
  FallbackSolver(const StateSpec& spec, StateOps& ops, std::vector<std::unique_ptr<Loop>> links);

  [[nodiscard]] std::size_t workspace_bytes() const override;
  [[nodiscard]] std::size_t estimate_bytes() const override;
  void bind(void* workspace, void* estimate) override;
  /// For every link.
  void limit_steps(int max_steps) override;
  void solve(FixedPointMap& map, StateView z, SolveReport& report) override;
  [[nodiscard]] const InverseEstimate& estimate() const override { return estimate_; }

 private:
  /// Each sample's estimate is that of the solver which ended it.
  class Estimate final : public InverseEstimate {
   public:
    explicit Estimate(const FallbackSolver& of) : of_(&of) {}
    void apply(StateView x, StateView out) const override { gather(x, out, Transposition::none); }
    void apply_transpose(StateView x, StateView out) const override { gather(x, out, Transposition::transposed); }
    [[nodiscard]] std::span<const int> rank() const override { return of_->rank_; }

   private:
    void gather(StateView x, StateView out, Transposition transposition) const;
    const FallbackSolver* of_;
  };

  StateSpec spec_;
  StateOps* ops_;
  std::vector<std::unique_ptr<Loop>> links_;
  std::vector<std::string> names_;                     // of the chain up to each link
  std::vector<std::vector<std::uint8_t>> ended_here_;  // [link][batch]
  std::size_t used_ = 1;                               // links that ran
  std::vector<int> rank_;                              // [batch]
  StateView scratch_;
  Estimate estimate_;
};

/// Why samples changed solver, e.g. "3 samples changed solver (anderson > broyden): 2 diverged, 1 nonfinite"; empty
/// when none did.
std::string fallback_reason(const SolveReport& report);

}  // namespace deq
