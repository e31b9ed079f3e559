#include "data/row_split.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "data/legacy_permutation.h"

namespace deq {

TwoParts hold_out(std::int64_t count, std::int64_t held_out_count, std::uint32_t seed) {
  check(count >= 1 && 0 <= held_out_count && held_out_count <= count, "split", held_out_count, " rows held out of ",
        count);
  const std::vector<std::int64_t> order = legacy_permutation(seed, count);
  return {.kept = {order.begin() + held_out_count, order.end()},
          .held_out = {order.begin(), order.begin() + held_out_count}};
}

RowSplit split_rows(std::int64_t count, const SplitShares& shares, std::uint32_t seed, const std::string& set) {
  const double sum = shares.train + shares.validation + shares.test;
  for (const double share : {shares.train, shares.validation, shares.test})
    require(std::isfinite(share) && share >= 0 && sum > 0, set, "shares of the parts must be 0 or more, found ",
            shares.train, " : ", shares.validation, " : ", shares.test);
  // 1e-9: shares such as 0.9 : 0.05 : 0.05 do not add up to 1 exactly.
  const auto train_count =
      static_cast<std::int64_t>(std::floor(shares.train / sum * static_cast<double>(count) + 1e-9));
  const std::int64_t rest_count = count - train_count;
  const double outer = shares.validation + shares.test;
  const double outer_share = outer > 0 ? shares.validation / outer : 0;
  const auto validation_count =
      static_cast<std::int64_t>(std::ceil(outer_share * static_cast<double>(rest_count) - 1e-9));
  const std::int64_t test_count = rest_count - validation_count;
  require(train_count > 0 && validation_count > 0 && (test_count > 0 || shares.test == 0), set,
          "an empty part: ", count, " rows in shares ", shares.train, " : ", shares.validation, " : ", shares.test,
          " give ", train_count, " train, ", validation_count, " validation and ", test_count, " test rows");

  const TwoParts outer_cut = hold_out(count, rest_count, seed);
  const TwoParts inner_cut = hold_out(rest_count, validation_count, seed);
  RowSplit split{.train = outer_cut.kept, .validation = {}, .test = {}};
  for (const std::int64_t row : inner_cut.held_out) split.validation.push_back(outer_cut.held_out[row]);
  for (const std::int64_t row : inner_cut.kept) split.test.push_back(outer_cut.held_out[row]);
  return split;
}

Samples select_samples(const Samples& from, const std::vector<std::int64_t>& rows) {
  Samples out{.features = from.features.select_rows(rows), .labels = {}};
  out.labels.reserve(rows.size());
  for (const std::int64_t row : rows) out.labels.push_back(from.labels[row]);
  return out;
}

Samples stacked_samples(const Samples& top, const Samples& bottom) {
  Samples out{.features = SparseMatrix::stacked(top.features, bottom.features), .labels = top.labels};
  out.labels.insert(out.labels.end(), bottom.labels.begin(), bottom.labels.end());
  return out;
}

}  // namespace deq
