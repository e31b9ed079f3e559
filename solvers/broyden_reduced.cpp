#include "solvers/broyden_reduced.h"

namespace deq {

BroydenReducedMethod::BroydenReducedMethod(const StateSpec& spec, StateOps& ops, const Broyden& options,
                                           EstimateUse use)
    : pairs_(spec, ops, options.memory, /*is_limited=*/true, use == EstimateUse::kept),
      pair_(spec, ops, options.breakdown) {}

void BroydenReducedMethod::layout(Slab& workspace, Slab& estimate) {
  pairs_.layout(estimate);
  pair_.layout(workspace);
}

void BroydenReducedMethod::start(const InverseEstimate*) { pairs_.start(); }

int BroydenReducedMethod::advance(const Iterate& iterate) {
  int skipped = 0;
  if (iterate.step == 0) {
    pair_.begin(iterate.learning);
  } else {
    const int slot = pairs_.reserve(iterate.learning, iterate.improved);
    skipped = pair_.form(pairs_.sum(), pairs_.u(slot), pairs_.v(slot), iterate.learning);
    pairs_.commit(slot, iterate.learning);
  }
  pairs_.mark_best(iterate.learning, iterate.improved);
  pair_.move(iterate.z, iterate.advancing);
  return skipped;
}

}  // namespace deq
