#include "solvers/low_rank_sum.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace deq {

LowRankSum::LowRankSum(const StateSpec& spec, StateOps& ops, int capacity, double alpha)
    : spec_(spec), ops_(&ops), capacity_(capacity), alpha_(alpha), rank_(static_cast<std::size_t>(spec.batch), 0) {
  check(capacity >= 1, "low_rank_sum", "memory is ", capacity, " but at least 1 update must be kept");
}

void LowRankSum::layout(Slab& slab) {
  u_ = slab.take(spec_, capacity_);
  v_ = slab.take(spec_, capacity_);
}

void LowRankSum::restart(SampleMask samples) {
  for (std::size_t b = 0; b < rank_.size(); ++b)
    if (samples.empty() || samples[b] != 0) rank_[b] = 0;
}

void LowRankSum::apply_to(StateView x, StateView out, Transposition transposition, SampleMask samples) const {
  ops_->apply_low_rank(spec_, {alpha_, u_, v_, rank_}, transposition, x, out, samples);
}

BroydenLowRankMethod::BroydenLowRankMethod(const StateSpec& spec, StateOps& ops, const Broyden& options, int max_steps)
    : spec_(spec),
      ops_(&ops),
      estimate_(spec, ops, options.memory > 0 ? std::min(options.memory, max_steps) : max_steps),
      breakdown_(options.breakdown),
      sample_started_at_(static_cast<std::size_t>(spec.batch), 0),
      along_(static_cast<std::size_t>(spec.batch), 0.0),
      norm2_(along_),
      u_scale_(along_),
      s_scale_(along_),
      one_(static_cast<std::size_t>(spec.batch), 1.0) {}

void BroydenLowRankMethod::layout(Slab& workspace, Slab& estimate) {
  estimate_.layout(estimate);
  residual_ = workspace.take(spec_);
  step_ = workspace.take(spec_);
  product_ = workspace.take(spec_);
}

void BroydenLowRankMethod::start(const InverseEstimate*) {
  estimate_.restart({});
  restarts_ = restarted_at_ = 0;
  std::fill(sample_started_at_.begin(), sample_started_at_.end(), 0);
}

int BroydenLowRankMethod::learn(int index, SampleMask learning) {
  estimate_.apply_to(residual_, product_, Transposition::none, learning);
  estimate_.apply_to(step_, estimate_.v(index), Transposition::transposed, learning);
  ops_->dots(spec_, single(step_), 1, product_, along_, learning);
  ops_->dots(spec_, single(step_), 1, step_, norm2_, learning);
  int skipped = 0;
  for (std::size_t b = 0; b < along_.size(); ++b) {
    if (learning[b] == 0) continue;
    const double denominator = norm2_[b] - along_[b];
    const bool breaks = !(std::abs(denominator) >= breakdown_ * norm2_[b]) || norm2_[b] == 0.0;
    u_scale_[b] = breaks ? 0.0 : 1.0 / denominator;
    s_scale_[b] = breaks ? 1.0 : norm2_[b] / denominator;
    skipped += breaks ? 1 : 0;
    estimate_.truncate(static_cast<int>(b), index + 1);
  }
  ops_->combine(spec_, 0.0, u_scale_, single(product_), 1, estimate_.u(index), learning);
  ops_->combine(spec_, 0.0, s_scale_, single(product_), 1, step_, learning);
  return skipped;
}

int BroydenLowRankMethod::advance(const Iterate& iterate) {
  int index = iterate.step - restarted_at_ - 1;  // the pair that the last step makes
  if (index >= estimate_.capacity()) {
    restarted_at_ = iterate.step;
    ++restarts_;
    index = -1;
    estimate_.restart(iterate.learning);
  }
  for (std::size_t b = 0; b < sample_started_at_.size(); ++b)
    if (iterate.learning[b] != 0) sample_started_at_[b] = restarted_at_;
  int skipped = 0;
  if (index < 0)
    ops_->copy(spec_, residual_, step_, iterate.learning);
  else
    skipped = learn(index, iterate.learning);
  ops_->combine(spec_, 1.0, one_, single(step_), 1, iterate.z, iterate.advancing);
  return skipped;
}

void BroydenLowRankMethod::truncate(int sample, int best_step) {
  const auto b = static_cast<std::size_t>(sample);
  estimate_.truncate(sample, std::clamp(best_step - sample_started_at_[b], 0, estimate_.rank()[b]));
}

}  // namespace deq
