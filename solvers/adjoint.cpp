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
  bool iterates = false;   // with a Loop
  bool is_linear = false;  // with a LinearSolver
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
            .solver = {.method = refined.method, .max_steps = refined.steps, .tolerance = {.value = 0.0}}};
  }
  Plan operator()(const FullAdjoint& full) const {
    return {.start = full.start, .iterates = true, .solver = full.solver};
  }
  Plan operator()(const KrylovAdjoint& krylov) const { return {.start = krylov.start, .is_linear = true}; }
  Plan operator()(const NeumannSeries&) const { return {.is_linear = true}; }
  Plan operator()(const NystromColumns&) const { return {.is_linear = true}; }
  Plan operator()(const Phantom&) const { return {}; }
};

bool may_share(SolveStatus status) {
  switch (status) {
    case SolveStatus::converged:
    case SolveStatus::max_steps:
    case SolveStatus::stalled: return true;
    case SolveStatus::diverged:
    case SolveStatus::nonfinite:
    case SolveStatus::not_solved: return false;
  }
  return false;
}

}  // namespace

void check_adjoint(const AdjointOptions& options) {
  const Plan plan = std::visit(Planner{}, options);
  if (!plan.iterates) return;
  const ForwardNeeds needs = forward_needs(plan.solver.method);
  require(!needs.pullback && !needs.pushforward, "adjoint", name_of(plan.solver.method),
          " solves forward only: it takes products that the adjoint system does not offer; solve backward by broyden, "
          "anderson, picard, or KrylovAdjoint");
}

bool needs_vjp(const AdjointOptions& options) {
  const Plan plan = std::visit(Planner{}, options);
  return plan.iterates || plan.is_linear;
}

bool needs_estimate(const AdjointOptions& options) {
  return std::visit(Planner{}, options).start == AdjointStart::shared;
}

Adjoint::Adjoint(const StateSpec& spec, StateOps& ops, const AdjointOptions& options)
    : spec_(spec), ops_(&ops), name_(name_of(options)) {
  check(!std::holds_alternative<Phantom>(options), "adjoint", "a phantom gradient is not an adjoint solve");
  check_adjoint(options);
  const Plan plan = std::visit(Planner{}, options);
  start_ = plan.start;
  max_gain_ = plan.max_gain;
  require(max_gain_ >= 0.0, "adjoint", "max_gain is ", max_gain_, " but must not be negative");
  if (plan.iterates) loop_ = std::make_unique<Loop>(spec, ops, plan.solver, EstimateUse::dropped);
  linear_ = make_linear_solver(spec, ops, options);
  const auto batch = static_cast<std::size_t>(spec.batch);
  ones_.assign(batch, 1.0);
  norm2_w_.assign(batch, 0.0);
  norm2_u_.assign(batch, 0.0);
  excluded_.assign(batch, 0);
  rescued_.assign(batch, 0);
}

std::size_t Adjoint::workspace_bytes() const {
  if (loop_ != nullptr) return loop_->workspace_bytes();
  Slab workspace;
  if (linear_ != nullptr) linear_->layout(workspace);
  return workspace.used_bytes();
}

void Adjoint::bind(void* workspace) {
  if (loop_ != nullptr) loop_->bind(workspace, nullptr);
  Slab slab(workspace);
  if (linear_ != nullptr) linear_->layout(slab);
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

bool Adjoint::has_gained(const SolveReport& report, std::size_t sample) const {
  if (loop_ == nullptr) return report.best_step[sample] > 0;
  // Relative to |f|, a residual that grows with f looks slightly better at every step.
  constexpr double kGain = 0.5;
  return report.residual[sample] < kGain * report.initial_residual[sample];
}

void Adjoint::rescue(StateView w, StateView u, SolveReport& report) {
  ops_->dots(spec_, single(u), 1, u, norm2_u_, {});
  for (std::size_t b = 0; b < rescued_.size(); ++b) {
    const SolveStatus status = report.status[b];
    const bool is_open = status != SolveStatus::converged && report.residual[b] != 0.0;
    const bool has_failed = status == SolveStatus::diverged || status == SolveStatus::nonfinite;
    const bool is_no_gain = has_failed && !has_gained(report, b);
    const bool is_empty = norm2_u_[b] == 0.0 || !std::isfinite(norm2_u_[b]);
    rescued_[b] = is_open && (is_no_gain || is_empty) ? 1 : 0;
    if (rescued_[b] == 0) continue;
    report.residual[b] = std::numeric_limits<double>::quiet_NaN();
    excluded_[b] = 1;
  }
  ops_->copy(spec_, w, u, rescued_);
}

void Adjoint::solve(FixedPointMap& vjp, const InverseEstimate& inverse, const SolveReport& forward, StateView w,
                    StateView u, SolveReport& report) {
  std::fill(excluded_.begin(), excluded_.end(), std::uint8_t{0});
  switch (start_) {
    case AdjointStart::zero: ops_->fill(spec_, u, 0.0, {}); break;
    case AdjointStart::identity: ops_->copy(spec_, w, u, {}); break;
    case AdjointStart::shared: share(inverse, forward, w, u); break;
  }
  const TransposedEstimate transpose = transposed(inverse);
  const GuardedEstimate guarded(transpose, spec_, *ops_, excluded_);
  const InverseEstimate* const base = start_ == AdjointStart::shared ? &guarded : nullptr;
  if (loop_ != nullptr) {
    AffineMap map(vjp, w, *ops_, ones_);
    loop_->solve_from(map, u, base, report);
    rescue(w, u, report);
  } else {
    report.resize(spec_.batch);
    std::fill(report.residual.begin(), report.residual.end(), std::numeric_limits<double>::quiet_NaN());
    std::fill(report.initial_residual.begin(), report.initial_residual.end(), std::numeric_limits<double>::quiet_NaN());
    if (linear_ != nullptr) {
      linear_->solve({.vjp = &vjp, .w = w, .right = base, .starts_at_zero = start_ == AdjointStart::zero}, u, report);
      report.sample_evaluations = std::int64_t{spec_.batch} * report.map_calls;
      rescue(w, u, report);
    } else {
      std::fill(report.status.begin(), report.status.end(), SolveStatus::not_solved);
    }
  }
  report.method = name_;
  std::copy(excluded_.begin(), excluded_.end(), report.is_fallback.begin());
}

}  // namespace deq
