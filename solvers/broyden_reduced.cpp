#include "solvers/broyden_reduced.h"

#include <cmath>

#include "core/error.h"

namespace deq {

BroydenReducedMethod::BroydenReducedMethod(const StateSpec& spec, StateOps& ops, const Broyden& options,
                                           EstimateUse use)
    : spec_(spec),
      ops_(&ops),
      pairs_(spec, ops, options.memory, /*is_limited=*/true, use == EstimateUse::kept),
      breakdown_(options.breakdown),
      along_(static_cast<std::size_t>(spec.batch), 0.0),
      norm2_(along_),
      u_scale_(along_),
      s_scale_(along_),
      one_(static_cast<std::size_t>(spec.batch), 1.0) {}

void BroydenReducedMethod::layout(Slab& workspace, Slab& estimate) {
  pairs_.layout(estimate);
  residual_ = workspace.take(spec_);
  step_ = workspace.take(spec_);
  product_ = workspace.take(spec_);
}

void BroydenReducedMethod::start(const InverseEstimate*) { pairs_.start(); }

int BroydenReducedMethod::learn(const Iterate& iterate) {
  const SampleMask learning = iterate.learning;
  const int slot = pairs_.reserve(learning, iterate.improved);
  pairs_.sum().apply_to(residual_, product_, Transposition::none, learning);
  pairs_.sum().apply_to(step_, pairs_.v(slot), Transposition::transposed, learning);
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
  }
  ops_->combine(spec_, 0.0, u_scale_, single(product_), 1, pairs_.u(slot), learning);
  ops_->combine(spec_, 0.0, s_scale_, single(product_), 1, step_, learning);
  pairs_.commit(slot, learning);
  return skipped;
}

int BroydenReducedMethod::advance(const Iterate& iterate) {
  int skipped = 0;
  if (iterate.step == 0)
    ops_->copy(spec_, residual_, step_, iterate.learning);
  else
    skipped = learn(iterate);
  pairs_.mark_best(iterate.learning, iterate.improved);
  ops_->combine(spec_, 1.0, one_, single(step_), 1, iterate.z, iterate.advancing);
  return skipped;
}

}  // namespace deq
