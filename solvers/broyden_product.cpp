#include "solvers/broyden_product.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "solvers/kept_updates.h"

namespace deq {

BroydenProduct::BroydenProduct(const StateSpec& spec, StateOps& ops, int capacity, double breakdown,
                               StepHistory history)
    : spec_(spec),
      ops_(&ops),
      stored_(history == StepHistory::bf16 ? DType::bf16 : spec.dtype),
      capacity_(capacity),
      breakdown_(breakdown) {
  require(ops.stores_steps_as(stored_, spec.dtype), "broyden", "this device keeps no history in ", name_of(stored_),
          " under states in ", name_of(spec.dtype), "; use the full one");
  check(capacity >= 1, "broyden", "memory is ", capacity, " but at least 1 update must be kept");
  const auto batch = static_cast<std::size_t>(spec.batch);
  coefficient_.assign(batch * static_cast<std::size_t>(capacity + 1), 0.0);
  rank_.assign(batch, 0);
  broke_.assign(batch, 0);
}

void BroydenProduct::layout(Slab& steps, Slab& scratch) {
  StateSpec stored = spec_;
  stored.dtype = stored_;
  steps_ = steps.take(stored, capacity_ + 1);
  scratch_ = scratch.take(spec_);
  if (is_rounded()) newest_ = scratch.take(spec_);
}

void BroydenProduct::start(const InverseEstimate* base) {
  base_ = base;
  std::fill(broke_.begin(), broke_.end(), std::uint8_t{0});
  restart({});
}

void BroydenProduct::restart(SampleMask samples) {
  for (std::size_t b = 0; b < rank_.size(); ++b)
    if (samples.empty() || samples[b] != 0) rank_[b] = 0;
}

StateView BroydenProduct::residual_slot(int index) const { return base_ == nullptr ? unrounded(index) : scratch_; }

void BroydenProduct::step(int index, StateView z, SampleMask learning, SampleMask advancing) {
  if (base_ != nullptr) base_->apply(scratch_, unrounded(index));
  std::fill(broke_.begin(), broke_.end(), std::uint8_t{0});
  ops_->product_step(spec_, {steps_, index, coefficient_, z, advancing, breakdown_, broke_, stored_, newest_},
                     learning);
  for (std::size_t b = 0; b < rank_.size(); ++b)
    if (learning.empty() || learning[b] != 0) rank_[b] = index;
}

int BroydenProduct::skipped() const { return std::accumulate(broke_.begin(), broke_.end(), 0); }

void BroydenProduct::apply(StateView x, StateView out) const {
  if (base_ != nullptr) base_->apply(x, out);
  ops_->apply_product(spec_, factors(), Transposition::none, base_ == nullptr ? x : out, out, {});
}

void BroydenProduct::apply_transpose(StateView x, StateView out) const {
  ops_->apply_product(spec_, factors(), Transposition::transposed, x, base_ == nullptr ? out : scratch_, {});
  if (base_ != nullptr) base_->apply_transpose(scratch_, out);
}

BroydenProductMethod::BroydenProductMethod(const StateSpec& spec, StateOps& ops, const Broyden& options, int max_steps)
    : estimate_(spec, ops, kept_updates("broyden", options.memory, max_steps), options.breakdown, options.history),
      sample_started_at_(static_cast<std::size_t>(spec.batch), 0) {}

void BroydenProductMethod::start(const InverseEstimate* base) {
  estimate_.start(base);
  restarts_ = restarted_at_ = 0;
  std::fill(sample_started_at_.begin(), sample_started_at_.end(), 0);
}

StateView BroydenProductMethod::residual_slot(int step) {
  if (step - restarted_at_ > estimate_.capacity()) {
    restarted_at_ = step;
    ++restarts_;
  }
  return estimate_.residual_slot(step - restarted_at_);
}

int BroydenProductMethod::advance(const Iterate& iterate) {
  for (std::size_t b = 0; b < sample_started_at_.size(); ++b)
    if (iterate.learning[b] != 0) sample_started_at_[b] = restarted_at_;
  const int skipped = estimate_.skipped();  // by the step before, whose scalars have come with the new residual
  estimate_.step(iterate.step - restarted_at_, iterate.z, iterate.learning, iterate.advancing);
  return skipped;
}

void BroydenProductMethod::truncate(int sample, int best_step) {
  // Factors of a best iterate from before the restart are gone: M = M0 there.
  const auto b = static_cast<std::size_t>(sample);
  estimate_.truncate(sample, std::clamp(best_step - sample_started_at_[b], 0, estimate_.rank()[b]));
}

}  // namespace deq
