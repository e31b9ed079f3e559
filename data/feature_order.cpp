#include "data/feature_order.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <vector>

namespace deq {

TabularSet with_frequent_features_first(const TabularSet& set) {
  std::vector<std::int64_t> count(static_cast<std::size_t>(set.train.features.columns()));
  for (const SparseMatrix* part : {&set.train.features, &set.test.features})
    for (const std::int32_t column : part->column()) ++count[column];
  std::vector<std::int32_t> order(count.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater<>{}, [&](std::int32_t column) { return count[column]; });
  TabularSet out = set;
  out.train.features = set.train.features.with_column_order(order);
  if (set.test.features.rows() > 0) out.test.features = set.test.features.with_column_order(order);
  return out;
}

}  // namespace deq
