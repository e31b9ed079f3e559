#include "solvers/sample_solver.h"

#include <algorithm>
#include <exception>

namespace deq {
namespace {

/// One sample of a map.
class SampleOf final : public FixedPointMap {
 public:
  SampleOf(FixedPointMap& map, const StateSpec& spec, int sample) : map_(&map), spec_(&spec), sample_(sample) {}
  [[nodiscard]] const StateSpec& spec() const override { return *spec_; }
  StateView input() override { return map_->input(); }
  StateView output() override { return map_->output(); }
  void replay() override { map_->replay_sample(sample_); }

 private:
  FixedPointMap* map_;
  const StateSpec* spec_;
  int sample_;
};

/// Entry b of `whole` becomes what a solve of sample b alone reports.
void enter(const SolveReport& alone, std::size_t b, SolveReport& whole) {
  whole.status[b] = alone.status[0];
  whole.steps[b] = alone.steps[0];
  whole.best_step[b] = alone.best_step[0];
  whole.residual[b] = alone.residual[0];
  whole.initial_residual[b] = alone.initial_residual[0];
  whole.solver[b] = alone.solver[0];
  whole.cause[b] = alone.cause[0];
  whole.map_calls = std::max(whole.map_calls, alone.map_calls);
  whole.steps_run = std::max(whole.steps_run, alone.steps_run);
  whole.restarts = std::max(whole.restarts, alone.restarts);
  whole.breakdowns += alone.breakdowns;
  whole.sample_evaluations += alone.sample_evaluations;
}

}  // namespace

SampleSolver::SampleSolver(const StateSpec& spec, SolverFactory make)
    : spec_(spec),
      make_(std::move(make)),
      together_(make_(spec)),
      rank_(static_cast<std::size_t>(spec.batch), 0),
      estimate_(*this) {}

void SampleSolver::make_samples() {
  for (int b = 0; b < spec_.batch; ++b) {
    const StateSpec alone = spec_.sample(b);
    samples_.push_back({.spec = alone, .solver = make_(alone), .report = {}});
    samples_.back().report.resize(1);
    if (max_steps_ > 0) samples_.back().solver->limit_steps(max_steps_);
  }
}

void SampleSolver::bind(void* workspace, void* estimate) {
  together_->bind(workspace, estimate);
  if (samples_.empty()) make_samples();
  for (Sample& sample : samples_) sample.solver->bind(workspace, estimate);
}

void SampleSolver::limit_steps(int max_steps) {
  together_->limit_steps(max_steps);
  max_steps_ = max_steps;
  for (Sample& sample : samples_) sample.solver->limit_steps(max_steps);
}

void SampleSolver::solve(FixedPointMap& map, StateView z, SolveReport& report) {
  const int threads = map.sample_threads();
  is_apart_ = threads > 0;
  if (!is_apart_) return together_->solve(map, z, report);
  std::exception_ptr thrown;  // none may leave the threads by itself
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (std::size_t b = 0; b < samples_.size(); ++b) {
    Sample& sample = samples_[b];
    SampleOf alone(map, sample.spec, static_cast<int>(b));
    try {
      sample.solver->solve(alone, z, sample.report);
    } catch (...) {
#pragma omp critical(sample_solver)
      thrown = std::current_exception();
    }
  }
  if (thrown) std::rethrow_exception(thrown);
  gather(report);
}

void SampleSolver::gather(SolveReport& report) {
  report.resize(static_cast<int>(samples_.size()));
  int last_solver = -1;  // of a chain, its links up to the last that any sample needed
  for (std::size_t b = 0; b < samples_.size(); ++b) {
    const Sample& sample = samples_[b];
    enter(sample.report, b, report);
    rank_[b] = sample.solver->estimate().rank()[0];
    if (sample.report.solver[0] <= last_solver) continue;
    last_solver = sample.report.solver[0];
    report.method = sample.report.method;
  }
}

const InverseEstimate& SampleSolver::estimate() const {
  if (is_apart_) return estimate_;
  return together_->estimate();
}

void SampleSolver::Estimate::apply(StateView x, StateView out) const {
#pragma omp parallel for schedule(dynamic, 1)
  for (const Sample& sample : of_->samples_) sample.solver->estimate().apply(x, out);
}

void SampleSolver::Estimate::apply_transpose(StateView x, StateView out) const {
#pragma omp parallel for schedule(dynamic, 1)
  for (const Sample& sample : of_->samples_) sample.solver->estimate().apply_transpose(x, out);
}

}  // namespace deq
