#include "solvers/stop_rule.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace deq {
namespace {

constexpr double kProgress = 0.99;  // an objective this far below the last mark is progress
constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

void check_tolerance(const Tolerance& tolerance, std::string_view where) {
  require(std::isfinite(tolerance.value) && tolerance.value >= 0.0, where, "tolerance is ", tolerance.value,
          " but must be finite and not negative");
}

void check_limits(const SolverOptions& options) {
  require(options.max_steps >= 1, "solver", "max_steps is ", options.max_steps, " but must be at least 1");
  check_tolerance(options.tolerance, "solver");
  require(options.patience >= 0, "solver", "patience is ", options.patience,
          " but must not be negative; 0 never stops a sample for want of progress");
  require(options.divergence_factor >= 0.0, "solver", "divergence_factor is ", options.divergence_factor,
          " but must not be negative; 0 never stops a sample for its growth");
  require(options.time_budget_ms >= 0.0, "solver", "time_budget_ms is ", options.time_budget_ms,
          " but must not be negative");
}

StopRule::StopRule(const SolverOptions& options, int batch) : options_(options), max_steps_(options.max_steps) {
  check_limits(options);
  const auto n = static_cast<std::size_t>(batch);
  running_.assign(n, 1);
  learning_.assign(n, 0);
  first_norm_.assign(n, 0.0);
  mark_.assign(n, kInfinity);
  since_mark_.assign(n, 0);
}

void StopRule::limit_steps(int max_steps) {
  check(max_steps >= 1 && max_steps <= options_.max_steps, "solver", "a limit of ", max_steps,
        " steps, expected 1 ... ", options_.max_steps);
  max_steps_ = max_steps;
}

void StopRule::start(SampleMask active) {
  for (std::size_t b = 0; b < running_.size(); ++b) running_[b] = active.empty() || active[b] != 0 ? 1 : 0;
  std::fill(learning_.begin(), learning_.end(), std::uint8_t{0});
  std::fill(mark_.begin(), mark_.end(), kInfinity);
  std::fill(since_mark_.begin(), since_mark_.end(), 0);
}

bool StopRule::stops(std::size_t sample, int step, const Measurement& measured, SolveStatus& status) {
  const double objective = measured.objective[sample];
  if (!std::isfinite(objective)) {
    status = SolveStatus::nonfinite;
    return true;
  }
  status = SolveStatus::max_steps;
  if (options_.tolerance.value == 0.0) return step == max_steps_;
  if (objective < options_.tolerance.value) {
    status = SolveStatus::converged;
    return true;
  }
  if (step == 0) first_norm_[sample] = measured.residual_norm[sample];
  if (options_.divergence_factor > 0.0 &&
      measured.residual_norm[sample] > options_.divergence_factor * first_norm_[sample]) {
    status = SolveStatus::diverged;
    return true;
  }
  if (objective < kProgress * mark_[sample]) {
    mark_[sample] = objective;
    since_mark_[sample] = 0;
  } else if (++since_mark_[sample] >= options_.patience && options_.patience > 0) {
    status = SolveStatus::stalled;
    return true;
  }
  return step == max_steps_;
}

void StopRule::observe(int step, const Measurement& measured, SolveReport& report) {
  for (std::size_t b = 0; b < running_.size(); ++b) {
    learning_[b] = 0;
    if (running_[b] == 0) continue;
    if (step == 0 && report.solver[b] == 0) report.initial_residual[b] = measured.objective[b];
    SolveStatus status = SolveStatus::max_steps;
    if (stops(b, step, measured, status)) {
      running_[b] = 0;
      report.status[b] = status;
      report.steps[b] = step;
    }
    learning_[b] = status == SolveStatus::nonfinite ? 0 : 1;
  }
}

void StopRule::give_up(int step, SolveReport& report) {
  for (std::size_t b = 0; b < running_.size(); ++b) {
    if (running_[b] == 0) continue;
    running_[b] = 0;
    report.status[b] = SolveStatus::max_steps;
    report.steps[b] = step;
  }
}

bool StopRule::any_running() const {
  return std::any_of(running_.begin(), running_.end(), [](auto on) { return on != 0; });
}
bool StopRule::any_learning() const {
  return std::any_of(learning_.begin(), learning_.end(), [](auto on) { return on != 0; });
}

}  // namespace deq
