#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/fixed_point.h"

namespace deq {

/// Makes a solver for a state, or for one sample of it (StateSpec::sample).
using SolverFactory = std::function<std::unique_ptr<FixedPointSolver>(const StateSpec& spec)>;

/// Solves each sample of a batch by itself where the map can be evaluated so (FixedPointMap::sample_threads): a thread
/// takes a sample from its first step to its last, so that the sample's states and steps stay in the thread's caches,
/// no thread waits for another before the solve ends, and a sample that has stopped costs nothing. Elsewhere all
/// samples step together. States and estimates are the same to the bit. So is the report, but that only what was
/// computed counts in sample_evaluations, and that map_calls and restarts are those of the slowest sample.
///
/// Memory: that of the solver of the whole batch, whose rows the samples share out.
class SampleSolver final : public FixedPointSolver {
 public:
  /// `make` is kept: the samples' solvers are made when memory is bound, for what is only planned needs none.
  SampleSolver(const StateSpec& spec, SolverFactory make);

  [[nodiscard]] std::size_t workspace_bytes() const override { return together_->workspace_bytes(); }
  [[nodiscard]] std::size_t estimate_bytes() const override { return together_->estimate_bytes(); }
  void bind(void* workspace, void* estimate) override;
  void limit_steps(int max_steps) override;
  void solve(FixedPointMap& map, StateView z, SolveReport& report) override;
  [[nodiscard]] const InverseEstimate& estimate() const override;

 private:
  struct Sample {
    StateSpec spec;
    std::unique_ptr<FixedPointSolver> solver;
    SolveReport report;
  };

  /// Sample by sample what the samples' own estimates are.
  class Estimate final : public InverseEstimate {
   public:
    explicit Estimate(const SampleSolver& of) : of_(&of) {}
    void apply(StateView x, StateView out) const override;
    void apply_transpose(StateView x, StateView out) const override;
    [[nodiscard]] std::span<const int> rank() const override { return of_->rank_; }

   private:
    const SampleSolver* of_;
  };

  void make_samples();
  void gather(SolveReport& report);

  StateSpec spec_;
  SolverFactory make_;
  std::unique_ptr<FixedPointSolver> together_;
  std::vector<Sample> samples_;
  int max_steps_ = 0;      // set by limit_steps; 0: that of the options
  bool is_apart_ = false;  // the last solve took samples one by one
  std::vector<int> rank_;  // [batch]
  Estimate estimate_;
};

}  // namespace deq
