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

}  // namespace deq
