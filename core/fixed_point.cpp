#include "core/fixed_point.h"

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
  }
  return "?";
}

void SolveReport::resize(int batch) {
  const auto n = static_cast<std::size_t>(batch);
  status.assign(n, SolveStatus::max_steps);
  steps.assign(n, 0);
  best_step.assign(n, 0);
  residual.assign(n, 0.0);
  initial_residual.assign(n, 0.0);
  is_fallback.assign(n, 0);
}

double SolveReport::mean_residual() const { return mean(residual); }
double SolveReport::mean_steps() const { return mean(steps); }
double SolveReport::fallback_fraction() const { return mean(is_fallback); }
int SolveReport::count(SolveStatus wanted) const {
  return static_cast<int>(std::count(status.begin(), status.end(), wanted));
}

}  // namespace deq
