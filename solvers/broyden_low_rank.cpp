#include "solvers/broyden_low_rank.h"

#include <algorithm>

#include "solvers/kept_updates.h"

namespace deq {

BroydenLowRankMethod::BroydenLowRankMethod(const StateSpec& spec, StateOps& ops, const Broyden& options, int max_steps)
    : estimate_(spec, ops, kept_updates("broyden", options.memory, max_steps)),
      pair_(spec, ops, options.breakdown),
      sample_started_at_(static_cast<std::size_t>(spec.batch), 0) {}

void BroydenLowRankMethod::layout(Slab& workspace, Slab& estimate) {
  estimate_.layout(estimate);
  pair_.layout(workspace);
}

void BroydenLowRankMethod::start(const InverseEstimate*) {
  estimate_.restart({});
  restarts_ = restarted_at_ = 0;
  std::fill(sample_started_at_.begin(), sample_started_at_.end(), 0);
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
  if (index < 0) {
    pair_.begin(iterate.learning);
  } else {
    skipped = pair_.form(estimate_, estimate_.u(index), estimate_.v(index), iterate.learning);
    for (int b = 0; b < static_cast<int>(sample_started_at_.size()); ++b)
      if (iterate.learning[static_cast<std::size_t>(b)] != 0) estimate_.truncate(b, index + 1);
  }
  pair_.move(iterate.z, iterate.advancing);
  return skipped;
}

void BroydenLowRankMethod::truncate(int sample, int best_step) {
  const auto b = static_cast<std::size_t>(sample);
  estimate_.truncate(sample, std::clamp(best_step - sample_started_at_[b], 0, estimate_.rank()[b]));
}

}  // namespace deq
