#include "solvers/linear_residual.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace deq {

LinearResidual::LinearResidual(const StateSpec& spec, StateOps& ops, NormMode mode)
    : spec_(spec), ops_(&ops), mode_(mode) {
  const auto batch = static_cast<std::size_t>(spec.batch);
  ones_.assign(batch, 1.0);
  norm_.assign(batch, 0.0);
  objective_.assign(batch, 0.0);
  best_.assign(batch, 0.0);
  improved_.assign(batch, 0);
}

void LinearResidual::measure(const LinearSystem& system, StateView u, StateView r, SampleMask samples) {
  FixedPointMap& vjp = *system.vjp;
  ops_->copy(spec_, u, vjp.input(), {});
  vjp.replay();
  ops_->combine(spec_, 1.0, ones_, single(system.w), 1, vjp.output(), {});
  std::fill(best_.begin(), best_.end(), 0.0);
  ops_->residual(spec_,
                 {.z = vjp.input(),
                  .f = vjp.output(),
                  .r = r,
                  .best = {},
                  .is_relative = mode_ == NormMode::relative,
                  .residual_norm = norm_,
                  .objective = objective_,
                  .best_objective = best_,
                  .improved = improved_},
                 samples);
}

void LinearResidual::measure_zero(const LinearSystem& system, StateView r) {
  ops_->copy(spec_, system.w, r, {});
  ops_->dots(spec_, single(r), 1, r, norm_, {});
  for (std::size_t b = 0; b < norm_.size(); ++b) {
    norm_[b] = std::sqrt(norm_[b]);
    objective_[b] = mode_ == NormMode::relative ? norm_[b] / (norm_[b] + kRelativeFloor) : norm_[b];
    if (!std::isfinite(norm_[b])) objective_[b] = std::numeric_limits<double>::infinity();
  }
}

void LinearResidual::apply(const LinearSystem& system) const {
  FixedPointMap& vjp = *system.vjp;
  vjp.replay();
  ops_->combine(spec_, -1.0, ones_, single(vjp.input()), 1, vjp.output(), {});
}

}  // namespace deq
