#pragma once

#include <cstdint>
#include <vector>

namespace deq {

/// How often pixels of each class were given each class; the sum over all images of an evaluation.
class ConfusionMatrix {
 public:
  /// Errors: Error unless classes >= 1.
  explicit ConfusionMatrix(int classes);

  /// Counts one pixel; a negative `truth` does not count. Both are below the number of classes.
  void add(int truth, int given) {
    if (truth >= 0) ++counts_[static_cast<std::size_t>(truth) * classes_ + static_cast<std::size_t>(given)];
  }

  /// Intersection over union, TP / (TP + FP + FN), of each class; not-a-number where it neither occurs nor is given.
  [[nodiscard]] std::vector<double> intersection_over_union() const;
  /// Mean of intersection_over_union over the classes that have one; 0 when none has.
  [[nodiscard]] double mean_intersection_over_union() const;

 private:
  std::size_t classes_;
  std::vector<std::int64_t> counts_;  ///< [truth, given]
};

}  // namespace deq
