#include "solvers/bilevel/pivoted_lu.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "core/error.h"

namespace deq {

PivotedLu::PivotedLu(std::vector<double> matrix, int n) : n_(n), matrix_(std::move(matrix)), row_(n), column_(n) {
  check(matrix_.size() == static_cast<std::size_t>(n) * n, "PivotedLu", "the matrix has ", matrix_.size(),
        " entries, expected ", n, " x ", n);
  std::iota(row_.begin(), row_.end(), 0);
  std::iota(column_.begin(), column_.end(), 0);
  eliminate();
}

void PivotedLu::eliminate() {
  double largest = 0.0;
  for (; rank_ < n_; ++rank_) {
    int pivot_row = rank_, pivot_column = rank_;
    for (int i = rank_; i < n_; ++i)
      for (int j = rank_; j < n_; ++j)
        if (std::abs(at(i, j)) > std::abs(at(pivot_row, pivot_column))) pivot_row = i, pivot_column = j;
    const double pivot = std::abs(at(pivot_row, pivot_column));
    if (rank_ == 0) largest = pivot;
    if (!(pivot > n_ * std::numeric_limits<double>::epsilon() * largest)) return;
    for (int j = 0; j < n_; ++j) std::swap(at(rank_, j), at(pivot_row, j));
    for (int i = 0; i < n_; ++i) std::swap(at(i, rank_), at(i, pivot_column));
    std::swap(row_[rank_], row_[pivot_row]);
    std::swap(column_[rank_], column_[pivot_column]);
    for (int i = rank_ + 1; i < n_; ++i) {
      const double factor = at(i, rank_) /= at(rank_, rank_);
      for (int j = rank_ + 1; j < n_; ++j) at(i, j) -= factor * at(rank_, j);
    }
  }
}

void PivotedLu::solve(std::span<double> b) const {
  check(b.size() == static_cast<std::size_t>(n_), "PivotedLu::solve", "b has ", b.size(), " entries, expected ", n_);
  std::vector<double> y(rank_);
  for (int i = 0; i < rank_; ++i) {
    y[i] = b[row_[i]];
    for (int j = 0; j < i; ++j) y[i] -= at(i, j) * y[j];
  }
  for (int i = rank_ - 1; i >= 0; --i) {
    for (int j = i + 1; j < rank_; ++j) y[i] -= at(i, j) * y[j];
    y[i] /= at(i, i);
  }
  for (int i = 0; i < n_; ++i) b[column_[i]] = i < rank_ ? y[i] : 0.0;
}

}  // namespace deq
