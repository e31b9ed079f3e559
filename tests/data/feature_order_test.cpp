#include "data/feature_order.h"

#include <doctest/doctest.h>

namespace deq {
namespace {

TEST_CASE("features that most samples have come first, in both parts alike") {
  TabularSet set;
  // Features 0 to 3 are in 1, 3, 2 and 3 samples.
  set.train.features = SparseMatrix::from_dense(2, 4, std::vector<double>{1, 2, 3, 4, 0, 5, 0, 6});
  set.train.labels = {1, -1};
  set.test.features = SparseMatrix::from_dense(1, 4, std::vector<double>{0, 7, 8, 9});
  set.test.labels = {1};
  const TabularSet ordered = with_frequent_features_first(set);
  CHECK(ordered.train.features.to_dense() == std::vector<double>{2, 4, 3, 1, 5, 6, 0, 0});
  CHECK(ordered.test.features.to_dense() == std::vector<double>{7, 9, 8, 0});
  CHECK(ordered.train.labels == set.train.labels);
  set.test = {};
  const TabularSet alone = with_frequent_features_first(set);
  CHECK(alone.train.features.to_dense() == std::vector<double>{2, 4, 1, 3, 5, 6, 0, 0});
  CHECK(alone.test.features.rows() == 0);
}

}  // namespace
}  // namespace deq
