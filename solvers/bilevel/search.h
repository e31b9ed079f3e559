#pragma once

#include <cstdint>
#include <vector>

#include "solvers/bilevel/lbfgs.h"
#include "solvers/bilevel/outer_trace.h"

namespace deq {

/// `count` values from -bound to bound at equal distances, each for all of lambda; count = 1 gives 0.
/// @returns [count][p]
std::vector<std::vector<double>> grid_candidates(int count, double bound, std::int64_t size);
/// `count` draws of lambda, every entry uniform on [-bound, bound].
std::vector<std::vector<double>> random_candidates(int count, double bound, std::int64_t size, std::uint64_t seed);

struct SearchOptions {
  /// Its tolerance is relative: |grad_w r| < tolerance |grad_w r(w_0, lambda_0)|.
  LbfgsOptions inner{.tolerance = 1e-4};
  int memory = 30;
  InitialInverse initial = InitialInverse::identity;
  PairPrecision precision = PairPrecision::double_precision;
};

/// Solves the inner problem at each candidate, from the w of the one before, with no hypergradient. Point 0 of the
/// trace is the start, point k the k-th candidate. A candidate whose loss is not finite is passed over; only a first
/// gradient or loss that is not finite ends the search.
/// @param lambda  [p] for which the first gradient is measured
/// @param w       [d] start
/// @throws Error when sizes do not match
OuterResult run_search(BilevelProblem& problem, const std::vector<std::vector<double>>& candidates,
                       std::vector<double> lambda, std::vector<double> w, const SearchOptions& options,
                       const OuterObserver& observer = {});

}  // namespace deq
