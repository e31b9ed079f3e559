#include "solvers/neumann.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace deq {

Neumann::Neumann(const StateSpec& spec, StateOps& ops, const NeumannSeries& options)
    : spec_(spec), ops_(&ops), options_(options) {
  require(options.terms >= 1, "neumann", "terms is ", options.terms, " but must be at least 1");
  require(options.max_growth > 1.0, "neumann", "max_growth is ", options.max_growth, " but must be above 1");
  const auto batch = static_cast<std::size_t>(spec.batch);
  ones_.assign(batch, 1.0);
  running_.assign(batch, 0);
  takes_ = running_;
  norm2_.assign(batch, 0.0);
  sum_norm2_ = first_norm_ = smallest_ = norm2_;
}

void Neumann::layout(Slab& workspace) { sum_ = workspace.take(spec_); }

void Neumann::solve(const LinearSystem& system, StateView u, SolveReport& report) {
  FixedPointMap& vjp = *system.vjp;
  report.map_calls = report.steps_run = report.breakdowns = 0;
  std::fill(running_.begin(), running_.end(), std::uint8_t{1});
  ops_->dots(spec_, single(system.w), 1, system.w, norm2_, {});
  for (std::size_t b = 0; b < running_.size(); ++b) smallest_[b] = first_norm_[b] = std::sqrt(norm2_[b]);
  ops_->copy(spec_, system.w, sum_, {});
  ops_->copy(spec_, system.w, u, {});
  ops_->copy(spec_, system.w, vjp.input(), {});
  for (int step = 0; step <= options_.terms; ++step) {
    vjp.replay();
    ++report.map_calls;
    ops_->dots(spec_, single(vjp.output()), 1, vjp.output(), norm2_, running_);
    ops_->dots(spec_, single(sum_), 1, sum_, sum_norm2_, running_);
    observe(step, report);
    ops_->copy(spec_, sum_, u, takes_);
    if (std::none_of(running_.begin(), running_.end(), [](auto on) { return on != 0; })) break;
    report.steps_run = step + 1;
    ops_->combine(spec_, 1.0, ones_, single(vjp.output()), 1, sum_, running_);
    ops_->copy(spec_, vjp.output(), vjp.input(), {});
  }
}

void Neumann::observe(int step, SolveReport& report) {
  for (std::size_t b = 0; b < running_.size(); ++b) {
    takes_[b] = 0;
    if (running_[b] == 0) continue;
    const double next = std::sqrt(norm2_[b]);
    const double relative = next / (std::sqrt(sum_norm2_[b]) + kRelativeFloor);
    if (step == 0) report.initial_residual[b] = report.residual[b] = relative;
    const bool grows = next > options_.max_growth * smallest_[b];
    if (!std::isfinite(next) || grows) {
      report.status[b] = std::isfinite(next) ? SolveStatus::diverged : SolveStatus::nonfinite;
      running_[b] = 0;
      continue;
    }
    const bool is_last = step == options_.terms || next == 0.0;
    takes_[b] = is_last || step == 0 || next < smallest_[b] ? 1 : 0;
    smallest_[b] = std::min(smallest_[b], next);
    if (takes_[b] != 0) {
      report.best_step[b] = step;
      report.residual[b] = relative;
    }
    report.steps[b] = step;
    if (!is_last) continue;
    report.status[b] = next == 0.0 ? SolveStatus::converged : SolveStatus::max_steps;
    running_[b] = 0;
  }
}

}  // namespace deq
