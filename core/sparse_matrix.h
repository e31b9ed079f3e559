#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace deq {

namespace cpu {
class SlicedLines;
}

/// An immutable sparse matrix X [rows, columns] in double: compressed rows, 12 bytes an entry. Copies share the
/// storage.
///
/// Products use all threads, allocate nothing (except the first of each kind) and do not depend on the number of
/// threads. They may be called from several threads at once. Each kind but `multiply_block` has a layout of its own,
/// made at its first call. Matrices of small whole numbers (word counts, flags), also after `with_unit_rows` or
/// `select_columns`, keep those numbers in 2 bytes beside the values and a factor for each row and column: products of
/// one vector then move 3 bytes an entry instead of 12. Their results are those of the values within rounding.
class SparseMatrix {
 public:
  /// 0 x 0.
  SparseMatrix();

  /// Row i holds value[k] at column[k] for row_start[i] <= k < row_start[i + 1]; columns ascend strictly within a row.
  /// Values may be anything, also not finite.
  /// Errors: Error naming the row when the parts do not fit together.
  SparseMatrix(std::int64_t columns, std::vector<std::int64_t> row_start, std::vector<std::int32_t> column,
               std::vector<double> value);

  /// The entries of `values` [rows, columns] that are not zero.
  static SparseMatrix from_dense(std::int64_t rows, std::int64_t columns, std::span<const double> values);
  /// The rows of `top` over those of `bottom`; the columns are those of the wider one.
  static SparseMatrix stacked(const SparseMatrix& top, const SparseMatrix& bottom);

  [[nodiscard]] std::int64_t rows() const;
  [[nodiscard]] std::int64_t columns() const;
  [[nodiscard]] std::int64_t nonzeros() const;
  [[nodiscard]] std::span<const std::int64_t> row_start() const;  ///< [rows + 1]
  [[nodiscard]] std::span<const std::int32_t> column() const;     ///< [nonzeros]
  [[nodiscard]] std::span<const double> value() const;            ///< [nonzeros]
  [[nodiscard]] bool is_finite() const;

  /// out [rows] = X v for v [columns]. Errors: Error when a size does not fit.
  void multiply(std::span<const double> v, std::span<double> out) const;
  /// out [columns] = X^T v for v [rows]. Errors: Error when a size does not fit.
  void multiply_transposed(std::span<const double> v, std::span<double> out) const;
  /// The same with shift x added, x [columns].
  void multiply_transposed(std::span<const double> v, double shift, std::span<const double> x,
                           std::span<double> out) const;
  /// Makes now the layouts that `multiply` and `multiply_transposed` make at their first call.
  void prepare() const;
  /// out [rows, width] = X V for V [columns, width], both row by row.
  void multiply_block(std::int64_t width, std::span<const double> v, std::span<double> out) const;
  /// out [columns, width] = X^T V for V [rows, width].
  void multiply_block_transposed(std::int64_t width, std::span<const double> v, std::span<double> out) const;

  /// The rows of these numbers, in their order; a row may come more than once. Errors: Error naming a number out of
  /// range.
  [[nodiscard]] SparseMatrix select_rows(std::span<const std::int64_t> rows) const;
  /// Every row divided by its Euclidean norm; empty rows stay empty.
  [[nodiscard]] SparseMatrix with_unit_rows() const;
  /// The same entries in a matrix of `columns` columns. Errors: Error when an entry would fall outside.
  [[nodiscard]] SparseMatrix with_columns(std::int64_t columns) const;
  /// The columns of these numbers, in their order. Errors: Error when `order` is not a permutation of all columns.
  [[nodiscard]] SparseMatrix with_column_order(std::span<const std::int32_t> order) const;
  /// The columns of these numbers, in their order, each times its factor; a column may come more than once. Errors:
  /// Error naming a number out of range, or when there are not as many factors.
  [[nodiscard]] SparseMatrix select_columns(std::span<const std::int32_t> columns,
                                            std::span<const double> factor) const;
  /// [rows, columns], row by row.
  [[nodiscard]] std::vector<double> to_dense() const;

 private:
  struct Storage;
  struct Transposed;
  /// Notes that entry k of row i is code[k] row_scale[i] column_scale[column[k]].
  void set_codes(std::vector<std::uint16_t> code, std::vector<double> row_scale, std::vector<double> column_scale);
  [[nodiscard]] const cpu::SlicedLines& sliced_rows() const;
  [[nodiscard]] const cpu::SlicedLines& sliced_columns() const;

  std::shared_ptr<const Storage> storage_;
};

}  // namespace deq
