#pragma once

#include <span>
#include <string>
#include <vector>

namespace deq {

/// How the labels of a set become those of a task, learnt from one part and applied to all.
class LabelMap {
 public:
  /// The smaller of exactly two labels is -1, the larger +1.
  /// Errors: RequestError naming `set` and listing the labels when there are not two, and the ways out.
  static LabelMap binary(std::span<const double> labels, const std::string& set);
  /// -1 below the mean of `labels`, +1 from the mean on: the customary binary task of 20 Newsgroups.
  /// Errors: RequestError naming `set` when all labels are the same.
  static LabelMap around_mean(std::span<const double> labels, const std::string& set);
  /// Class numbers 0 ... K - 1 of the distinct labels, ascending.
  /// Errors: RequestError naming `set` when there are fewer than two.
  static LabelMap classes(std::span<const double> labels, const std::string& set);

  /// 2 for binary maps.
  [[nodiscard]] int class_count() const;

  /// Labels of the task. Errors: RequestError naming `part` and the label when one was not there when the map was
  /// learnt (maps around a mean take any).
  [[nodiscard]] std::vector<double> apply(std::span<const double> labels, const std::string& part) const;

 private:
  LabelMap() = default;

  std::vector<double> known_;    ///< ascending; empty for maps around a mean
  std::vector<double> becomes_;  ///< [known]
  double mean_ = 0;
};

}  // namespace deq
