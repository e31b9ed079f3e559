#include "solvers/adjoint_broyden.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "solvers/kept_updates.h"

namespace deq {
namespace {

/// Updates that `max_steps` steps can make.
std::int64_t most_updates(const AdjointBroyden& options, int max_steps) {
  const std::int64_t steps = max_steps;
  return steps + (options.outer_every > 0 ? (steps + 1) / options.outer_every : 0);
}

int capacity_of(const AdjointBroyden& options, int max_steps) {
  require(options.outer_every >= 0, "adjoint_broyden", "outer_every is ", options.outer_every,
          " but must not be negative");
  return kept_updates("adjoint_broyden", options.memory, most_updates(options, max_steps));
}

}  // namespace

AdjointBroydenMethod::AdjointBroydenMethod(const StateSpec& spec, StateOps& ops, const AdjointBroyden& options,
                                           int max_steps, EstimateUse use)
    : spec_(spec),
      ops_(&ops),
      options_(options),
      pairs_(spec, ops, capacity_of(options, max_steps),
             capacity_of(options, max_steps) < most_updates(options, max_steps), use == EstimateUse::kept),
      length_(static_cast<std::size_t>(spec.batch), 0.0),
      along_(length_),
      norm2_(length_),
      coefficient_(length_),
      gain_(length_),
      one_(static_cast<std::size_t>(spec.batch), 1.0) {}

void AdjointBroydenMethod::layout(Slab& workspace, Slab& estimate) {
  pairs_.layout(estimate);
  residual_ = workspace.take(spec_);
  sigma_ = workspace.take(spec_);
  product_ = workspace.take(spec_);
}

void AdjointBroydenMethod::start(const InverseEstimate*) {
  pairs_.start();
  jacobian_products_ = 0;
}

bool AdjointBroydenMethod::updates_outer(int step) const {
  return options_.outer_every > 0 && (step + 1) % options_.outer_every == 0;
}

int AdjointBroydenMethod::update_outer(const Iterate& iterate) {
  FixedPointMap& outer = *iterate.map->outer_gradient();
  outer.replay();
  const Transposition direction =
      options_.direction == OuterDirection::transposed ? Transposition::transposed : Transposition::none;
  pairs_.sum().apply_to(outer.output(), sigma_, direction, iterate.learning);
  return update(iterate);
}

int AdjointBroydenMethod::update(const Iterate& iterate) {
  const SampleMask learning = iterate.learning;
  FixedPointMap& pullback = *iterate.map->pullback();
  ops_->dots(spec_, single(sigma_), 1, sigma_, norm2_, learning);
  for (std::size_t b = 0; b < norm2_.size(); ++b) {
    length_[b] = norm2_[b] > 0.0 && std::isfinite(norm2_[b]) ? std::sqrt(norm2_[b]) : 0.0;
    coefficient_[b] = length_[b] > 0.0 ? 1.0 / length_[b] : 0.0;
  }
  ops_->combine(spec_, 0.0, coefficient_, single(sigma_), 1, sigma_, learning);
  const int slot = pairs_.reserve(learning, iterate.improved);
  ops_->copy(spec_, sigma_, pullback.input(), learning);
  pullback.replay();
  ++jacobian_products_;
  ops_->combine(spec_, -1.0, one_, single(sigma_), 1, pullback.output(), learning);
  pairs_.sum().apply_to(pullback.output(), pairs_.v(slot), Transposition::transposed, learning);  // b
  pairs_.sum().apply_to(sigma_, product_, Transposition::none, learning);
  ops_->dots(spec_, single(sigma_), 1, pairs_.v(slot), along_, learning);
  ops_->dots(spec_, single(pairs_.v(slot)), 1, pairs_.v(slot), norm2_, learning);
  int skipped = 0;
  for (std::size_t b = 0; b < along_.size(); ++b) {
    if (learning[b] == 0) continue;
    const bool breaks = !(std::abs(along_[b]) > options_.breakdown * std::sqrt(norm2_[b])) || !std::isfinite(norm2_[b]);
    coefficient_[b] = breaks ? 0.0 : 1.0 / along_[b];
    gain_[b] = breaks ? 1.0 : coefficient_[b];
    norm2_[b] = breaks ? 0.0 : -1.0;  // v of a skipped update is nothing, whatever b held
    skipped += breaks ? 1 : 0;
  }
  ops_->combine(spec_, 0.0, coefficient_, single(product_), 1, pairs_.u(slot), learning);
  ops_->combine(spec_, 0.0, norm2_, single(pairs_.v(slot)), 1, pairs_.v(slot), learning);
  ops_->combine(spec_, 1.0, one_, single(sigma_), 1, pairs_.v(slot), learning);
  pairs_.commit(slot, learning);
  return skipped;
}

int AdjointBroydenMethod::advance(const Iterate& iterate) {
  if (iterate.step == 0) {
    check(iterate.map->pullback() != nullptr, "adjoint_broyden", "the map offers no products with its J^T");
    check(options_.outer_every == 0 || iterate.map->outer_gradient() != nullptr, "adjoint_broyden",
          "the map offers no gradient of an outer loss, which updates every ", options_.outer_every, " steps need");
    pairs_.mark_best(iterate.learning, iterate.improved);
    ops_->combine(spec_, 1.0, one_, single(residual_), 1, iterate.z, iterate.advancing);
    return 0;
  }
  ops_->copy(spec_, residual_, sigma_, iterate.learning);
  int skipped = update(iterate);
  for (std::size_t b = 0; b < gain_.size(); ++b) coefficient_[b] = length_[b] * gain_[b];  // M+ r = this times M sigma
  if (updates_outer(iterate.step)) {
    skipped += update_outer(iterate);
    pairs_.sum().apply_to(residual_, product_, Transposition::none, iterate.learning);
    coefficient_ = one_;
  }
  pairs_.mark_best(iterate.learning, iterate.improved);
  ops_->combine(spec_, 1.0, coefficient_, single(product_), 1, iterate.z, iterate.advancing);
  return skipped;
}

}  // namespace deq
