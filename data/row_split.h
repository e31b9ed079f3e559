#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/samples.h"

namespace deq {

/// Numbers of the rows of each part of a set.
struct RowSplit {
  std::vector<std::int64_t> train;
  std::vector<std::int64_t> validation;
  std::vector<std::int64_t> test;
};

struct TwoParts {
  std::vector<std::int64_t> kept;
  std::vector<std::int64_t> held_out;
};
/// Holds out the first `held_out_count` rows of `legacy_permutation` and keeps the rest, in its order: scikit-learn's
/// train_test_split. Errors: Error unless 0 <= held_out_count <= count.
TwoParts hold_out(std::int64_t count, std::int64_t held_out_count, std::uint32_t seed);

/// Shares of a set, in any unit; 90 : 5 : 5 of 18,846 rows gives 16,961 / 943 / 942.
struct SplitShares {
  double train = 0.9;
  double validation = 0.05;
  double test = 0.05;
};

/// Cuts `count` rows in three as two calls of scikit-learn's train_test_split with one seed do: train = floor(share),
/// the rest is permuted anew and its first ceil(share of the rest) rows are the validation part.
/// Errors: RequestError naming `set` when a share is negative or not finite, or when the train or validation part, or
/// a test part with a share above 0, would be empty.
RowSplit split_rows(std::int64_t count, const SplitShares& shares, std::uint32_t seed, const std::string& set);

/// The samples of these rows.
Samples select_samples(const Samples& from, const std::vector<std::int64_t>& rows);
/// The samples of `top`, then those of `bottom`.
Samples stacked_samples(const Samples& top, const Samples& bottom);

}  // namespace deq
