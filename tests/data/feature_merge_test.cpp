#include "data/feature_merge.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/error.h"

namespace deq {
namespace {

/// Features 0, 2 and 5 are multiples (2 and -0.5 times feature 0), so are 1 and 4; 3 and 6 have no entries; 7 agrees
/// with feature 0 in the first part only.
TabularSet some_set() {
  TabularSet set;
  set.train.features = SparseMatrix::from_dense(2, 8,
                                                std::vector<double>{1, 0, 2, 0, 0, -0.5, 0, 1,  //
                                                                    3, 4, 6, 0, 1, -1.5, 0, 3});
  set.train.labels = {1, -1};
  set.test.features = SparseMatrix::from_dense(1, 8, std::vector<double>{2, 8, 4, 0, 2, -1, 0, 7});
  set.test.labels = {1};
  return set;
}

std::vector<double> product(const SparseMatrix& x, const std::vector<double>& w) {
  std::vector<double> out(x.rows());
  x.multiply(w, out);
  return out;
}

TEST_CASE("features that are multiples of one another become one, and margins and lengths stay") {
  const TabularSet set = some_set();
  const MergedFeatures merged = merge_proportional_features(set);
  CHECK(merged.direction == std::vector<std::int32_t>{0, 1, 0, -1, 1, 0, -1, 2});
  CHECK(merged.set.train.features.columns() == 4);
  CHECK(merged.set.test.features.columns() == 4);
  CHECK(merged.set.train.labels == set.train.labels);
  const std::vector<double> w = {0.3, -1, 2, 5, 0.7, 1, -3, 0.25};
  const std::vector<double> u = merged.coordinates(w);
  const auto far = [](const std::vector<double>& a, const std::vector<double>& b) {
    double worst = a.size() == b.size() ? 0 : 1;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
    return worst;
  };
  CHECK(far(product(merged.set.train.features, u), product(set.train.features, w)) < 1e-14);
  CHECK(far(product(merged.set.test.features, u), product(set.test.features, w)) < 1e-14);
  double before = 0, after = 0;
  for (const double each : w) before += each * each;
  for (const double each : u) after += each * each;
  CHECK(after == doctest::Approx(before).epsilon(1e-14));
  // What no sample sees: features 3 and 6, and the rest of the multiples.
  CHECK(u[3] > std::sqrt(34.0));
  CHECK_THROWS_AS((void)merged.coordinates(u), Error);
}

TEST_CASE("a set whose features all differ stays as it is") {
  TabularSet set;
  set.train.features = SparseMatrix::from_dense(2, 3, std::vector<double>{1, 2, 1, 1, 1, 1.0000001});
  set.train.labels = {1, -1};
  const MergedFeatures merged = merge_proportional_features(set);
  CHECK(merged.direction.empty());
  CHECK(merged.set.train.features.to_dense() == set.train.features.to_dense());
  const std::vector<double> w = {1, 2, 3};
  CHECK(merged.coordinates(w) == w);
}

TEST_CASE("counts divided by the norms of their rows merge like the counts") {
  TabularSet set;
  set.train.features =
      SparseMatrix::from_dense(3, 4, std::vector<double>{1, 2, 0, 3, 7, 14, 0, 1, 0, 0, 9, 2}).with_unit_rows();
  set.train.labels = {1, -1, 1};
  const MergedFeatures merged = merge_proportional_features(set);
  CHECK(merged.direction == std::vector<std::int32_t>{0, 0, 1, 2});
}

}  // namespace
}  // namespace deq
