#include "solvers/broyden_pair.h"

#include <cmath>

namespace deq {

BroydenPair::BroydenPair(const StateSpec& spec, StateOps& ops, double breakdown)
    : spec_(spec),
      ops_(&ops),
      breakdown_(breakdown),
      along_(static_cast<std::size_t>(spec.batch), 0.0),
      norm2_(along_),
      u_scale_(along_),
      s_scale_(along_),
      one_(static_cast<std::size_t>(spec.batch), 1.0) {}

void BroydenPair::layout(Slab& workspace) {
  residual_ = workspace.take(spec_);
  step_ = workspace.take(spec_);
  product_ = workspace.take(spec_);
}

int BroydenPair::form(const LowRankSum& inverse, StateView u, StateView v, SampleMask learning) {
  inverse.apply_to(residual_, product_, Transposition::none, learning);
  inverse.apply_to(step_, v, Transposition::transposed, learning);
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
  ops_->combine(spec_, 0.0, u_scale_, single(product_), 1, u, learning);
  ops_->combine(spec_, 0.0, s_scale_, single(product_), 1, step_, learning);
  return skipped;
}

}  // namespace deq
