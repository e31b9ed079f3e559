#include "solvers/gmres.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "solvers/stop_rule.h"

namespace deq {
namespace {

constexpr int kMostBasis = 10000;         // its coefficients take restart^2 doubles a sample
constexpr double kProgress = 0.99;        // a cycle that leaves more of the residual than this has stalled
constexpr double kSmallestPivot = 1e-14;  // relative to the largest; 1e2 roundings above double's epsilon
constexpr double kMoved = 1.0 - 1e-12;    // a residual above this share of the last one is the same up to rounding
// A new direction this much shorter than the product it came from is rounding: the space is invariant.
constexpr double kInvariant = 1e-13;

}  // namespace

Gmres::Gmres(const StateSpec& spec, StateOps& ops, const KrylovAdjoint& options)
    : spec_(spec),
      ops_(&ops),
      options_(options),
      restart_(std::min(options.restart, options.max_steps)),
      residual_(spec, ops, options.tolerance.mode) {
  require(options.restart >= 1, "gmres", "restart is ", options.restart, " but must be at least 1");
  require(restart_ <= kMostBasis, "gmres", "restart is ", options.restart, " within ", options.max_steps,
          " steps, but at most ", kMostBasis, " states can be kept; lower restart, e.g. to 20");
  require(options.max_steps >= 1, "gmres", "max_steps is ", options.max_steps, " but must be at least 1");
  check_tolerance(options.tolerance, "gmres");
  const auto batch = static_cast<std::size_t>(spec.batch);
  const auto rows = static_cast<std::size_t>(restart_);
  running_.assign(batch, 0);
  building_ = nonfinite_ = running_;
  columns_.assign(batch, 0);
  last_norm_.assign(batch, 0.0);
  norm2_ = scale_ = last_norm_;
  upper_.assign(rows * rows * batch, 0.0);
  cosine_.assign(rows * batch, 0.0);
  sine_ = cosine_;
  right_.assign((rows + 1) * batch, 0.0);
  column_ = again_ = right_;
}

void Gmres::layout(Slab& workspace) {
  basis_ = workspace.take(spec_, restart_ + 1);
  scratch_ = workspace.take(spec_);
}

double& Gmres::upper(int row, int column, std::size_t sample) {
  return upper_[static_cast<std::size_t>(row * restart_ + column) * running_.size() + sample];
}

bool Gmres::any(const std::vector<std::uint8_t>& mask) const {
  return std::any_of(mask.begin(), mask.end(), [](auto on) { return on != 0; });
}

void Gmres::solve(const LinearSystem& system, StateView u, SolveReport& report) {
  std::fill(running_.begin(), running_.end(), std::uint8_t{1});
  std::fill(nonfinite_.begin(), nonfinite_.end(), std::uint8_t{0});
  report.map_calls = report.steps_run = report.breakdowns = 0;
  if (system.starts_at_zero) {
    residual_.measure_zero(system, basis_.at(0));
  } else {
    residual_.measure(system, u, basis_.at(0), {});
    ++report.map_calls;
  }
  for (int cycles = 0;; ++cycles) {
    judge(cycles, report);
    if (!any(running_)) return;
    build(system, std::min(restart_, options_.max_steps - report.steps_run), report);
    update(system, u, report);
    residual_.measure(system, u, basis_.at(0), running_);
    ++report.map_calls;
  }
}

void Gmres::judge(int cycles, SolveReport& report) {
  for (std::size_t b = 0; b < running_.size(); ++b) {
    if (running_[b] == 0) continue;
    const double objective = residual_.objective(b);
    const double norm = residual_.norm(b);
    if (cycles == 0) report.initial_residual[b] = objective;
    report.residual[b] = objective;
    bool stops = true;
    if (!std::isfinite(objective) || nonfinite_[b] != 0)
      report.status[b] = SolveStatus::nonfinite;
    else if (norm == 0.0 || objective < options_.tolerance.value)
      report.status[b] = SolveStatus::converged;
    else if (report.steps[b] >= options_.max_steps)
      report.status[b] = SolveStatus::max_steps;
    else if (cycles > 0 && norm > kProgress * last_norm_[b])
      report.status[b] = SolveStatus::stalled;
    else
      stops = false;
    running_[b] = stops ? 0 : 1;
    last_norm_[b] = norm;
  }
}

void Gmres::extend(const LinearSystem& system, int j) {
  const StateView next = basis_.at(j + 1);
  if (system.right == nullptr)
    ops_->copy(spec_, basis_.at(j), system.vjp->input(), building_);
  else
    system.right->apply(basis_.at(j), system.vjp->input());
  residual_.apply(system);
  ops_->copy(spec_, system.vjp->output(), next, building_);
  const std::size_t used = static_cast<std::size_t>(j + 1) * running_.size();
  ops_->dots(spec_, basis_, j + 1, next, {column_.data(), used}, building_);
  for (std::size_t i = 0; i < used; ++i) again_[i] = -column_[i];
  ops_->combine(spec_, 1.0, {again_.data(), used}, basis_, j + 1, next, building_);
  ops_->dots(spec_, basis_, j + 1, next, {again_.data(), used}, building_);
  for (std::size_t i = 0; i < used; ++i) {
    column_[i] += again_[i];
    again_[i] = -again_[i];
  }
  ops_->combine(spec_, 1.0, {again_.data(), used}, basis_, j + 1, next, building_);
  ops_->dots(spec_, single(next), 1, next, norm2_, building_);
}

void Gmres::rotate(int j, std::size_t b) {
  const std::size_t batch = running_.size();
  const auto at = [&](int row) { return static_cast<std::size_t>(row) * batch + b; };
  double sum = norm2_[b];
  for (int i = 0; i <= j; ++i) sum += column_[at(i)] * column_[at(i)];
  const double below = std::sqrt(norm2_[b]);
  if (!std::isfinite(sum)) {
    nonfinite_[b] = 1;
    building_[b] = 0;
    return;
  }
  double last = column_[at(0)];
  for (int i = 0; i < j; ++i) {
    const double next = column_[at(i + 1)];
    upper(i, j, b) = cosine_[at(i)] * last + sine_[at(i)] * next;
    last = cosine_[at(i)] * next - sine_[at(i)] * last;
  }
  const double length = std::hypot(last, below);
  cosine_[at(j)] = length > 0.0 ? last / length : 1.0;
  sine_[at(j)] = length > 0.0 ? below / length : 0.0;
  upper(j, j, b) = length;
  right_[at(j + 1)] = -sine_[at(j)] * right_[at(j)];
  right_[at(j)] *= cosine_[at(j)];
  columns_[b] = j + 1;
  const double left = std::abs(right_[at(j + 1)]) / last_norm_[b] * residual_.objective(b);
  const bool is_invariant = below <= kInvariant * std::sqrt(sum);
  if (is_invariant || left < options_.tolerance.value) building_[b] = 0;
  scale_[b] = is_invariant ? 0.0 : 1.0 / below;
}

void Gmres::build(const LinearSystem& system, int steps, SolveReport& report) {
  building_ = running_;
  std::fill(columns_.begin(), columns_.end(), 0);
  for (std::size_t b = 0; b < running_.size(); ++b) {
    if (running_[b] == 0) continue;
    right_[b] = last_norm_[b];
    scale_[b] = 1.0 / last_norm_[b];
  }
  ops_->combine(spec_, 0.0, scale_, basis_, 1, basis_.at(0), building_);
  for (int j = 0; j < steps && any(building_); ++j) {
    for (std::size_t b = 0; b < running_.size(); ++b) report.steps[b] += building_[b];
    ++report.steps_run;
    ++report.map_calls;
    extend(system, j);
    for (std::size_t b = 0; b < running_.size(); ++b)
      if (building_[b] != 0) rotate(j, b);
    ops_->combine(spec_, 0.0, scale_, single(basis_.at(j + 1)), 1, basis_.at(j + 1), building_);
  }
}

void Gmres::update(const LinearSystem& system, StateView u, SolveReport& report) {
  const std::size_t batch = running_.size();
  const int most = *std::max_element(columns_.begin(), columns_.end());
  if (most == 0) return;
  std::fill(again_.begin(), again_.end(), 0.0);
  for (std::size_t b = 0; b < batch; ++b) {
    if (running_[b] == 0 || columns_[b] == 0) continue;
    double largest = 0.0;
    for (int i = 0; i < columns_[b]; ++i) largest = std::max(largest, std::abs(upper(i, i, b)));
    for (int i = columns_[b] - 1; i >= 0; --i) {
      double sum = right_[static_cast<std::size_t>(i) * batch + b];
      for (int k = i + 1; k < columns_[b]; ++k) sum -= upper(i, k, b) * again_[static_cast<std::size_t>(k) * batch + b];
      const bool is_singular = !(std::abs(upper(i, i, b)) > kSmallestPivot * largest);
      again_[static_cast<std::size_t>(i) * batch + b] = is_singular ? 0.0 : sum / upper(i, i, b);
      report.breakdowns += is_singular ? 1 : 0;
    }
    const double left = std::abs(right_[static_cast<std::size_t>(columns_[b]) * batch + b]);
    if (left < kMoved * last_norm_[b]) report.best_step[b] = report.steps[b];
  }
  const std::span<const double> weights(again_.data(), static_cast<std::size_t>(most) * batch);
  if (system.right == nullptr) {
    ops_->combine(spec_, 1.0, weights, basis_, most, u, running_);
    return;
  }
  ops_->combine(spec_, 0.0, weights, basis_, most, scratch_, running_);
  system.right->apply(scratch_, system.vjp->input());
  ops_->combine(spec_, 1.0, residual_.ones(), single(system.vjp->input()), 1, u, running_);
}

}  // namespace deq
