#pragma once

#include <span>
#include <vector>

namespace deq {

/// Gaussian elimination with complete pivoting of a small matrix that may be indefinite or singular. Pivots below n
/// machine epsilons of the largest one are taken as zero, so a consistent singular system gets one of its solutions.
class PivotedLu {
 public:
  /// @param matrix  [n, n] row-major
  /// @throws Error when it is not n * n long
  PivotedLu(std::vector<double> matrix, int n);
  /// @param b  [n] right-hand side; overwritten by x
  void solve(std::span<double> b) const;
  [[nodiscard]] int rank() const { return rank_; }

 private:
  void eliminate();
  [[nodiscard]] double& at(int row, int column) { return matrix_[row * n_ + column]; }
  [[nodiscard]] double at(int row, int column) const { return matrix_[row * n_ + column]; }

  int n_;
  int rank_ = 0;
  std::vector<double> matrix_;     ///< L below the diagonal (ones on it), U on and above, both in pivot order
  std::vector<int> row_, column_;  ///< which row and column came at each place
};

}  // namespace deq
