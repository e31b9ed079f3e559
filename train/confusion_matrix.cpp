#include "train/confusion_matrix.h"

#include <cmath>
#include <limits>

#include "core/error.h"

namespace deq {

ConfusionMatrix::ConfusionMatrix(int classes) : classes_(static_cast<std::size_t>(classes)) {
  check(classes >= 1, "confusion matrix", classes, " classes");
  counts_.assign(classes_ * classes_, 0);
}

std::vector<double> ConfusionMatrix::intersection_over_union() const {
  std::vector<double> out;
  for (std::size_t k = 0; k < classes_; ++k) {
    std::int64_t either = -counts_[k * classes_ + k];
    for (std::size_t other = 0; other < classes_; ++other)
      either += counts_[k * classes_ + other] + counts_[other * classes_ + k];
    out.push_back(either > 0 ? static_cast<double>(counts_[k * classes_ + k]) / static_cast<double>(either)
                             : std::numeric_limits<double>::quiet_NaN());
  }
  return out;
}

double ConfusionMatrix::mean_intersection_over_union() const {
  double total = 0;
  int counted = 0;
  for (const double share : intersection_over_union()) {
    if (std::isnan(share)) continue;
    total += share;
    ++counted;
  }
  return counted > 0 ? total / counted : 0;
}

}  // namespace deq
