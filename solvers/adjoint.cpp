#include "solvers/adjoint.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "solvers/affine_map.h"
#include "solvers/guarded_estimate.h"
#include "solvers/names.h"

namespace deq {
namespace {

struct Plan {
  AdjointStart start = AdjointStart::identity;
  double max_gain = 0.0;
  bool iterates = false;
  SolverOptions solver{};
};

struct Planner {
  Plan operator()(const JacobianFree&) const { return {}; }
  Plan operator()(const SharedInverse& shared) const {
    return {.start = AdjointStart::shared, .max_gain = shared.max_gain};
  }
  Plan operator()(const Refined& refined) const {
    require(refined.steps >= 1, "adjoint", "steps is ", refined.steps, " but must be at least 1");
    return {.start = refined.start,
            .max_gain = refined.max_gain,
            .iterates = true,
            .solver = {.method = Broyden{}, .max_steps = refined.steps, .tolerance = {.value = 0.0}}};
  }
  Plan operator()(const FullAdjoint& full) const {
    return {.start = full.start, .iterates = true, .solver = full.solver};
  }
};

bool may_share(SolveStatus status) {
  switch (status) {
    case SolveStatus::converged:
    case SolveStatus::max_steps:
    case SolveStatus::stalled: return true;
    case SolveStatus::diverged:
    case SolveStatus::nonfinite: return false;
  }
  return false;
}

}  // namespace

bool needs_vjp(const AdjointOptions& options) { return std::visit(Planner{}, options).iterates; }

bool needs_estimate(const AdjointOptions& options) {
  return std::visit(Planner{}, options).start == AdjointStart::shared;
}

Adjoint::Adjoint(const StateSpec& spec, StateOps& ops, const AdjointOptions& options)
    : spec_(spec), ops_(&ops), name_(name_of(options)) {
  const Plan plan = std::visit(Planner{}, options);
  start_ = plan.start;
  max_gain_ = plan.max_gain;
  require(max_gain_ >= 0.0, "adjoint", "max_gain is ", max_gain_, " but must not be negative");
  if (plan.iterates) loop_ = std::make_unique<Loop>(spec, ops, plan.solver, EstimateUse::dropped);
  const auto batch = static_cast<std::size_t>(spec.batch);
  ones_.assign(batch, 1.0);
  norm2_w_.assign(batch, 0.0);
  norm2_u_.assign(batch, 0.0);
  excluded_.assign(batch, 0);
}

std::size_t Adjoint::workspace_bytes() const { return loop_ == nullptr ? 0 : loop_->workspace_bytes(); }

void Adjoint::bind(void* workspace) {
  if (loop_ != nullptr) loop_->bind(workspace, nullptr);
}

void Adjoint::share(const InverseEstimate& inverse, const SolveReport& forward, StateView w, StateView u) {
  check(forward.status.size() == excluded_.size(), "adjoint", "the forward report holds ", forward.status.size(),
        " samples but the state ", excluded_.size());
  inverse.apply_transpose(w, u);
  ops_->dots(spec_, single(w), 1, w, norm2_w_, {});
  ops_->dots(spec_, single(u), 1, u, norm2_u_, {});
  for (std::size_t b = 0; b < excluded_.size(); ++b) {
    const bool is_safe = may_share(forward.status[b]) && std::isfinite(norm2_u_[b]);
    const bool grows = max_gain_ > 0.0 && norm2_u_[b] > max_gain_ * max_gain_ * norm2_w_[b];
    excluded_[b] = is_safe && !grows ? 0 : 1;
  }
  ops_->copy(spec_, w, u, excluded_);
}

void Adjoint::solve(FixedPointMap& vjp, const InverseEstimate& inverse, const SolveReport& forward, StateView w,
                    StateView u, SolveReport& report) {
  std::fill(excluded_.begin(), excluded_.end(), std::uint8_t{0});
  switch (start_) {
    case AdjointStart::zero: ops_->fill(spec_, u, 0.0, {}); break;
    case AdjointStart::identity: ops_->copy(spec_, w, u, {}); break;
    case AdjointStart::shared: share(inverse, forward, w, u); break;
  }
  if (loop_ == nullptr) {
    report.resize(spec_.batch);
    report.map_calls = report.steps_run = report.breakdowns = 0;
    report.sample_evaluations = 0;
    std::fill(report.residual.begin(), report.residual.end(), std::numeric_limits<double>::quiet_NaN());
    std::fill(report.initial_residual.begin(), report.initial_residual.end(), std::numeric_limits<double>::quiet_NaN());
  } else {
    AffineMap map(vjp, w, *ops_, ones_);
    const TransposedEstimate transpose = transposed(inverse);
    const GuardedEstimate guarded(transpose, spec_, *ops_, excluded_);
    loop_->solve_from(map, u, start_ == AdjointStart::shared ? &guarded : nullptr, report);
  }
  report.method = name_;
  std::copy(excluded_.begin(), excluded_.end(), report.is_fallback.begin());
}

}  // namespace deq
