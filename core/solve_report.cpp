#include "core/solve_report.h"

#include <algorithm>
#include <numeric>

namespace deq {
namespace {

template <class T>
double mean(const std::vector<T>& values) {
  if (values.empty()) return 0.0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

std::string_view name_of(SolveStatus status) {
  switch (status) {
    case SolveStatus::converged: return "converged";
    case SolveStatus::max_steps: return "max_steps";
    case SolveStatus::stalled: return "stalled";
    case SolveStatus::diverged: return "diverged";
    case SolveStatus::nonfinite: return "nonfinite";
    case SolveStatus::not_solved: return "not_solved";
  }
  return "?";
}

bool is_breakdown(SolveStatus status) {
  switch (status) {
    case SolveStatus::converged:
    case SolveStatus::max_steps:
    case SolveStatus::not_solved: return false;
    case SolveStatus::stalled:
    case SolveStatus::diverged:
    case SolveStatus::nonfinite: return true;
  }
  return false;
}

void SolveReport::resize(int batch) {
  const auto n = static_cast<std::size_t>(batch);
  status.assign(n, SolveStatus::max_steps);
  steps.assign(n, 0);
  best_step.assign(n, 0);
  residual.assign(n, 0.0);
  initial_residual.assign(n, 0.0);
  is_fallback.assign(n, 0);
  solver.assign(n, 0);
  cause.assign(n, SolveStatus::converged);
  map_calls = steps_run = breakdowns = restarts = jacobian_products = 0;
  sample_evaluations = 0;
  is_out_of_time = false;
}

double SolveReport::mean_residual() const { return mean(residual); }
double SolveReport::mean_steps() const { return mean(steps); }
double SolveReport::fallback_fraction() const { return mean(is_fallback); }
double SolveReport::evaluations_saved() const {
  const double all = static_cast<double>(steps.size()) * map_calls;
  return all > 0 && sample_evaluations > 0 ? 1.0 - static_cast<double>(sample_evaluations) / all : 0.0;
}

int SolveReport::count(SolveStatus wanted) const {
  return static_cast<int>(std::count(status.begin(), status.end(), wanted));
}

}  // namespace deq
