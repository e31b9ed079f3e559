#include "solvers/bicgstab.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "solvers/stop_rule.h"

namespace deq {
namespace {

constexpr double kBreakdown = 1e-14;  // of a dot product against the lengths of its factors
constexpr double kDiverged = 1e6;     // times the first residual; BiCGSTAB's residual is not monotone
constexpr double kProgress = 0.5;     // a restart must have left less than this of the true residual
constexpr int kMostBreakdowns = 3;    // in a row, then the sample has stalled

}  // namespace

BiCgStab::BiCgStab(const StateSpec& spec, StateOps& ops, const KrylovAdjoint& options)
    : spec_(spec), ops_(&ops), options_(options), residual_(spec, ops, options.tolerance.mode) {
  require(options.max_steps >= 1, "bicgstab", "max_steps is ", options.max_steps, " but must be at least 1");
  check_tolerance(options.tolerance, "bicgstab");
  const auto batch = static_cast<std::size_t>(spec.batch);
  running_.assign(batch, 0);
  broke_ = improved_ = running_;
  rho_.assign(batch, 0.0);
  alpha_ = omega_ = first_norm_ = best_norm_ = true_norm_ = dot_a_ = dot_b_ = scale_ = rho_;
}

void BiCgStab::layout(Slab& workspace) {
  for (StateView* state : {&x_, &r_, &shadow_, &p_, &v_, &t_}) *state = workspace.take(spec_);
}

bool BiCgStab::any_running() const {
  return std::any_of(running_.begin(), running_.end(), [](auto on) { return on != 0; });
}

void BiCgStab::solve(const LinearSystem& system, StateView u, SolveReport& report) {
  begin(system, u, report);
  do {
    restart();
    while (any_running()) {
      ++report.steps_run;
      if (is_first_half_) {
        first_half(system, report);
        move(system, v_, u, report);
      } else {
        second_half(system, report);
        move(system, t_, u, report);
        turn(report);
      }
      is_first_half_ = !is_first_half_;
    }
    verify(system, u, report);
  } while (any_running());
}

void BiCgStab::begin(const LinearSystem& system, StateView u, SolveReport& report) {
  report.map_calls = report.steps_run = report.breakdowns = 0;
  std::fill(running_.begin(), running_.end(), std::uint8_t{1});
  std::fill(broke_.begin(), broke_.end(), std::uint8_t{0});
  ops_->copy(spec_, u, x_, {});
  if (system.starts_at_zero) {
    residual_.measure_zero(system, r_);
  } else {
    residual_.measure(system, u, r_, {});
    ++report.map_calls;
  }
  for (std::size_t b = 0; b < running_.size(); ++b) {
    const double objective = residual_.objective(b);
    report.initial_residual[b] = report.residual[b] = objective;
    first_norm_[b] = best_norm_[b] = true_norm_[b] = residual_.norm(b);
    report.status[b] = std::isfinite(objective) ? SolveStatus::converged : SolveStatus::nonfinite;
    if (!std::isfinite(objective) || first_norm_[b] == 0.0 || objective < options_.tolerance.value) running_[b] = 0;
  }
}

void BiCgStab::restart() {
  is_first_half_ = true;
  for (std::size_t b = 0; b < running_.size(); ++b) rho_[b] = true_norm_[b] * true_norm_[b];
  ops_->copy(spec_, r_, shadow_, running_);
  ops_->copy(spec_, r_, p_, running_);
}

void BiCgStab::multiply(const LinearSystem& system, StateView direction, StateView out, SolveReport& report) {
  if (system.right == nullptr)
    ops_->copy(spec_, direction, system.vjp->input(), {});
  else
    system.right->apply(direction, system.vjp->input());
  residual_.apply(system);
  ops_->copy(spec_, system.vjp->output(), out, running_);
  ++report.map_calls;
}

void BiCgStab::first_half(const LinearSystem& system, SolveReport& report) {
  multiply(system, p_, v_, report);
  ops_->dots(spec_, single(shadow_), 1, v_, dot_a_, running_);
  for (std::size_t b = 0; b < running_.size(); ++b) {
    if (running_[b] == 0) continue;
    const bool breaks = !(std::abs(dot_a_[b]) > kBreakdown * std::abs(rho_[b]));
    scale_[b] = alpha_[b] = breaks ? 0.0 : rho_[b] / dot_a_[b];
  }
}

void BiCgStab::second_half(const LinearSystem& system, SolveReport& report) {
  multiply(system, r_, t_, report);
  ops_->dots(spec_, single(t_), 1, r_, dot_a_, running_);
  ops_->dots(spec_, single(t_), 1, t_, dot_b_, running_);
  for (std::size_t b = 0; b < running_.size(); ++b) {
    if (running_[b] == 0) continue;
    scale_[b] = omega_[b] = dot_b_[b] > 0.0 ? dot_a_[b] / dot_b_[b] : 0.0;
  }
}

void BiCgStab::move(const LinearSystem& system, StateView image, StateView u, SolveReport& report) {
  ops_->combine(spec_, 1.0, scale_, single(system.vjp->input()), 1, x_, running_);
  for (double& value : scale_) value = -value;
  ops_->combine(spec_, 1.0, scale_, single(image), 1, r_, running_);
  ops_->dots(spec_, single(r_), 1, r_, dot_a_, running_);
  for (std::size_t b = 0; b < running_.size(); ++b) {
    improved_[b] = 0;
    if (running_[b] == 0) continue;
    const double norm = std::sqrt(dot_a_[b]);
    report.steps[b] = report.steps_run;
    if (norm < best_norm_[b]) {
      best_norm_[b] = norm;
      report.best_step[b] = report.steps_run;
      improved_[b] = 1;
    }
    const double objective = norm / first_norm_[b] * report.initial_residual[b];
    bool stops = true;
    if (!std::isfinite(norm))
      report.status[b] = SolveStatus::nonfinite;
    else if (norm == 0.0 || objective < options_.tolerance.value)
      report.status[b] = SolveStatus::converged;
    else if (norm > kDiverged * first_norm_[b])
      report.status[b] = SolveStatus::diverged;
    else if (report.steps_run >= options_.max_steps)
      report.status[b] = SolveStatus::max_steps;
    else
      stops = false;
    running_[b] = stops ? 0 : 1;
  }
  ops_->copy(spec_, x_, u, improved_);
}

void BiCgStab::turn(SolveReport& report) {
  ops_->dots(spec_, single(shadow_), 1, r_, dot_a_, running_);
  ops_->dots(spec_, single(r_), 1, r_, dot_b_, running_);
  for (std::size_t b = 0; b < running_.size(); ++b) {
    improved_[b] = 0;  // from here on: begins again
    if (running_[b] == 0) continue;
    const double rho = dot_a_[b];
    const double beta = rho / rho_[b] * (alpha_[b] / omega_[b]);
    const bool breaks = alpha_[b] == 0.0 || omega_[b] == 0.0 || !std::isfinite(beta) ||
                        std::abs(rho) <= kBreakdown * std::sqrt(dot_b_[b]) * true_norm_[b];
    improved_[b] = breaks ? 1 : 0;
    rho_[b] = breaks ? dot_b_[b] : rho;
    scale_[b] = breaks ? 0.0 : beta;
    omega_[b] = breaks ? 0.0 : -beta * omega_[b];
    report.breakdowns += breaks ? 1 : 0;
    broke_[b] = breaks ? static_cast<std::uint8_t>(broke_[b] + 1) : std::uint8_t{0};
    if (broke_[b] >= kMostBreakdowns) {
      report.status[b] = SolveStatus::stalled;
      running_[b] = 0;
    }
  }
  ops_->combine(spec_, 0.0, scale_, single(p_), 1, p_, running_);
  ops_->combine(spec_, 1.0, omega_, single(v_), 1, p_, running_);
  ops_->combine(spec_, 1.0, residual_.ones(), single(r_), 1, p_, running_);
  ops_->copy(spec_, r_, shadow_, improved_);
}

void BiCgStab::verify(const LinearSystem& system, StateView u, SolveReport& report) {
  residual_.measure(system, u, r_, {});
  ++report.map_calls;
  const double tolerance = options_.tolerance.value;
  for (std::size_t b = 0; b < running_.size(); ++b) {
    report.residual[b] = residual_.objective(b);
    const double norm = residual_.norm(b);
    const bool has_drifted = tolerance > 0.0 && !(report.residual[b] < tolerance) && norm > 0.0;
    if (report.status[b] != SolveStatus::converged || !has_drifted) continue;
    const bool goes_on = norm < kProgress * true_norm_[b] && report.steps_run < options_.max_steps;
    report.status[b] = goes_on ? SolveStatus::converged : SolveStatus::stalled;
    running_[b] = goes_on ? 1 : 0;
    true_norm_[b] = best_norm_[b] = norm;
  }
  ops_->copy(spec_, u, x_, running_);
}

}  // namespace deq
