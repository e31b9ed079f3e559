#include "solvers/loop.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "core/error.h"

namespace deq {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

}  // namespace

Loop::Loop(const StateSpec& spec, StateOps& ops, const SolverOptions& options, EstimateUse use)
    : Loop(spec, ops, options, use, make_method(spec, ops, options, use), std::string(name_of(options.method))) {}

Loop::Loop(const StateSpec& spec, StateOps& ops, const SolverOptions& options, EstimateUse use,
           std::unique_ptr<Method> method, std::string name)
    : spec_(spec),
      ops_(&ops),
      options_(options),
      use_(use),
      method_(std::move(method)),
      name_(std::move(name)),
      stop_(options, spec.batch),
      identity_(spec, ops) {
  check(spec.batch >= 1 && spec.sample_elems() >= 1, "solver", "the state is empty (batch ", spec.batch, ", ",
        spec.sample_elems(), " elements a sample)");
  check(spec.dtype == DType::f32 || spec.dtype == DType::f64, "solver", "the state is ", name_of(spec.dtype),
        " but must be f32 or f64");
  check(method_ != nullptr, "solver", "there is no method");
  const auto batch = static_cast<std::size_t>(spec.batch);
  residual_norm_.assign(batch, 0.0);
  objective_.assign(batch, 0.0);
  best_objective_.assign(batch, 0.0);
  improved_.assign(batch, 0);
  active_.assign(batch, 1);
  steps_before_.assign(batch, 0);
  Slab workspace;
  Slab estimate;
  method_->layout(workspace, use == EstimateUse::kept ? estimate : workspace);
  workspace_bytes_ = workspace.used_bytes();
  estimate_bytes_ = estimate.used_bytes();
}

void Loop::bind(void* workspace, void* estimate) {
  Slab workspace_slab(workspace);
  Slab estimate_slab(estimate);
  method_->layout(workspace_slab, use_ == EstimateUse::kept ? estimate_slab : workspace_slab);
}

void Loop::measure(FixedPointMap& map, int step, StateView z, SolveReport& report) {
  report.sample_evaluations += map.replay_running(stop_.running());
  ++report.map_calls;
  ops_->residual(spec_,
                 {.z = map.input(),
                  .f = map.output(),
                  .r = method_->residual_slot(step),
                  .best = z,
                  .is_relative = options_.tolerance.mode == NormMode::relative,
                  .residual_norm = residual_norm_,
                  .objective = objective_,
                  .best_objective = best_objective_,
                  .improved = improved_},
                 stop_.running());
  for (std::size_t b = 0; b < improved_.size(); ++b)
    if (stop_.running()[b] != 0 && improved_[b] != 0) report.best_step[b] = step;
  stop_.observe(step, {residual_norm_, objective_}, report);
}

void Loop::solve_from(FixedPointMap& map, StateView z, const InverseEstimate* base, SolveReport& report) {
  report.resize(spec_.batch);
  report.method = name_;
  std::fill(active_.begin(), active_.end(), std::uint8_t{1});
  run(map, z, base, report);
}

void Loop::take_over(FixedPointMap& map, StateView z, int place, SolveReport& report) {
  for (std::size_t b = 0; b < active_.size(); ++b) {
    active_[b] = is_breakdown(report.status[b]) ? 1 : 0;
    if (active_[b] == 0) continue;
    report.solver[b] = static_cast<std::uint8_t>(place);
    report.cause[b] = report.status[b];
    report.best_step[b] = 0;
    steps_before_[b] = report.steps[b];
  }
  run(map, z, nullptr, report);
  for (std::size_t b = 0; b < active_.size(); ++b)
    if (active_[b] != 0) report.steps[b] += steps_before_[b];
}

void Loop::run(FixedPointMap& map, StateView z, const InverseEstimate* base, SolveReport& report) {
  const auto start = Clock::now();
  std::fill(best_objective_.begin(), best_objective_.end(), std::numeric_limits<double>::infinity());
  ops_->copy(spec_, z, map.input(), {});
  method_->start(base);
  stop_.start(active_);
  const int steps_before = report.steps_run;
  for (int step = 0; step <= stop_.max_steps(); ++step) {
    measure(map, step, z, report);
    report.steps_run = steps_before + step;
    if (options_.time_budget_ms > 0.0 && stop_.any_running() && ms_since(start) >= options_.time_budget_ms) {
      report.is_out_of_time = true;
      stop_.give_up(step, report);
    }
    const bool goes_on = stop_.any_running();
    // The residual at a sample's last iterate still teaches its estimate one update.
    if (goes_on || (use_ == EstimateUse::kept && stop_.any_learning()))
      report.breakdowns += method_->advance({.step = step,
                                             .z = map.input(),
                                             .f = map.output(),
                                             .learning = stop_.learning(),
                                             .advancing = stop_.running(),
                                             .improved = improved_,
                                             .map = &map});
    if (!goes_on) break;
  }
  finish(report);
}

void Loop::finish(SolveReport& report) {
  for (int b = 0; b < spec_.batch; ++b) {
    const auto sample = static_cast<std::size_t>(b);
    if (active_[sample] == 0) continue;
    report.residual[sample] = best_objective_[sample];
    method_->truncate(b, report.best_step[sample]);
  }
  ops_->settle();
  report.breakdowns += method_->counts().breakdowns;
  report.restarts += method_->counts().restarts;
  report.jacobian_products += method_->counts().jacobian_products;
}

const InverseEstimate& Loop::estimate() const {
  if (use_ == EstimateUse::dropped) return identity_;
  return method_->estimate();
}

}  // namespace deq
