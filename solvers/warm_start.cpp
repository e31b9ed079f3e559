#include "solvers/warm_start.h"

#include "core/error.h"

namespace deq {

WarmStartSolver::WarmStartSolver(const StateSpec& spec, StateOps& ops, std::unique_ptr<FixedPointSolver> solver)
    : spec_(spec), ops_(&ops), solver_(std::move(solver)), is_usable_(static_cast<std::size_t>(spec.batch), 0) {
  check(solver_ != nullptr, "warm_start", "there is no solver to start");
}

void WarmStartSolver::bind(void* workspace, void* estimate) {
  last_ = ops_->allocate(spec_.bytes());
  solver_->bind(workspace, estimate);
}

void WarmStartSolver::solve(FixedPointMap& map, StateView z, SolveReport& report) {
  const StateView last{last_.get()};
  ops_->copy(spec_, last, z, is_usable_);
  solver_->solve(map, z, report);
  for (std::size_t b = 0; b < is_usable_.size(); ++b) {
    const bool is_lost = report.status[b] == SolveStatus::diverged || report.status[b] == SolveStatus::nonfinite;
    is_usable_[b] = is_lost ? 0 : 1;
  }
  ops_->copy(spec_, z, last, is_usable_);
}

}  // namespace deq
