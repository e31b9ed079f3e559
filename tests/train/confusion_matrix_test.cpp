#include "train/confusion_matrix.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>

namespace deq {
namespace {

TEST_CASE("intersection over union is TP / (TP + FP + FN) of each class") {
  ConfusionMatrix matrix(3);
  const std::vector<std::array<int, 3>> counts{{0, 0, 6}, {0, 1, 2}, {1, 1, 3}, {1, 0, 1}, {-1, 2, 9}};
  for (const auto& [truth, given, times] : counts)
    for (int i = 0; i < times; ++i) matrix.add(truth, given);
  const std::vector<double> shares = matrix.intersection_over_union();
  CHECK(shares[0] == doctest::Approx(6.0 / 9));
  CHECK(shares[1] == doctest::Approx(3.0 / 6));
  CHECK(std::isnan(shares[2]));  // neither there nor given: pixels without a label do not count
  CHECK(matrix.mean_intersection_over_union() == doctest::Approx((6.0 / 9 + 0.5) / 2));
}

TEST_CASE("a class that is given but never there has share 0 and counts in the mean") {
  ConfusionMatrix matrix(2);
  matrix.add(0, 0);
  matrix.add(0, 1);
  CHECK(matrix.mean_intersection_over_union() == doctest::Approx(0.25));
  CHECK(ConfusionMatrix(4).mean_intersection_over_union() == 0);
}

}  // namespace
}  // namespace deq
