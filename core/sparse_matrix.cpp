#include "core/sparse_matrix.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <mutex>
#include <numeric>
#include <utility>

#include "core/cpu/parallel.h"
#include "core/cpu/sliced_lines.h"
#include "core/cpu/sparse_product.h"
#include "core/error.h"

namespace deq {

/// Compressed columns, with values, with codes as Storage has them, or both.
struct SparseMatrix::Transposed {
  std::vector<std::int64_t> start;
  std::vector<std::int32_t> row;
  std::vector<double> value;
  std::vector<std::uint16_t> code;
};

struct SparseMatrix::Storage {
  std::int64_t columns = 0;
  std::vector<std::int64_t> start = {0};
  std::vector<std::int32_t> column;
  std::vector<double> value;
  /// Entry k of row i is code[k] row_scale[i] column_scale[column[k]] within rounding; `code` is empty when no such
  /// numbers are known, the scales where they are ones. Products of one vector read these.
  std::vector<std::uint16_t> code;
  std::vector<double> row_scale;
  std::vector<double> column_scale;  ///< only beside a row_scale

  mutable std::once_flag has_transposed, has_sliced_rows, has_sliced_columns;
  mutable Transposed transposed;
  mutable cpu::SlicedLines sliced_rows, sliced_columns;

  [[nodiscard]] std::int64_t rows() const { return static_cast<std::int64_t>(start.size()) - 1; }
  [[nodiscard]] cpu::CompressedLines lines() const {
    return {.count = rows(),
            .start = start.data(),
            .index = column.data(),
            .value = value.data(),
            .code = code.empty() ? nullptr : code.data()};
  }
  [[nodiscard]] Transposed transpose(bool has_values, bool has_codes) const;
};

namespace {

constexpr std::int64_t kMostShares = 8;  // of a transposition: each share reads all columns
constexpr double kCodes = 65536;         // whole numbers below it are codes
constexpr std::int64_t kMaxExtent = std::numeric_limits<std::int32_t>::max();

void check_rows(std::int64_t columns, std::span<const std::int64_t> start, std::span<const std::int32_t> column) {
  for (std::size_t row = 0; row + 1 < start.size(); ++row)
    check(start[row] <= start[row + 1], "sparse matrix", "row ", row, " starts at ", start[row], " and ends at ",
          start[row + 1]);
  for (std::size_t row = 0; row + 1 < start.size(); ++row) {
    std::int64_t last = -1;
    for (std::int64_t k = start[row]; k < start[row + 1]; ++k) {
      check(last < column[k], "sparse matrix", "row ", row, ": column ", column[k], " after ", last,
            "; columns must ascend");
      last = column[k];
    }
    check(last < columns, "sparse matrix", "row ", row, ": column ", last, " of a matrix with ", columns, " columns");
  }
}

/// The values as whole numbers below 2^16; empty when one of them is none.
std::vector<std::uint16_t> codes_of(std::span<const double> values) {
  const auto is_code = [](double value) { return value >= 0 && value < kCodes && value == std::floor(value); };
  if (!std::ranges::all_of(values, is_code)) return {};
  return {values.begin(), values.end()};
}

void check_sizes(std::size_t in, std::int64_t expected_in, std::size_t out, std::int64_t expected_out) {
  check(static_cast<std::int64_t>(in) == expected_in && static_cast<std::int64_t>(out) == expected_out,
        "sparse product", "vectors of ", in, " and ", out, " elements; expected ", expected_in, " and ", expected_out);
}

const double* scales(const std::vector<double>& scale) { return scale.empty() ? nullptr : scale.data(); }

/// v with each element times its scale, empty for ones.
const double* scaled_input(std::span<const double> v, const std::vector<double>& scale) {
  if (scale.empty()) return v.data();
  // Kept from call to call, so that products allocate nothing; each calling thread has its own.
  thread_local std::vector<double> scaled;
  scaled.resize(std::max(scaled.size(), v.size()));
  cpu::parallel_elements(static_cast<std::int64_t>(v.size()),
                         [to = scaled.data(), v, &scale](std::int64_t first, std::int64_t last) {
                           for (std::int64_t i = first; i < last; ++i) to[i] = v[i] * scale[i];
                         });
  return scaled.data();
}

}  // namespace

SparseMatrix::Transposed SparseMatrix::Storage::transpose(bool has_values, bool has_codes) const {
  Transposed out;
  out.start.resize(columns + 1);
  for (const std::int32_t at : column) ++out.start[at + 1];
  std::partial_sum(out.start.begin(), out.start.end(), out.start.begin());
  std::vector<std::int64_t> next(out.start.begin(), out.start.end() - 1);
  out.row.resize(column.size());
  out.value.resize(has_values ? column.size() : 0);
  out.code.resize(has_codes ? column.size() : 0);
  // Each thread moves the entries of some columns, with about as many in each share.
  const std::int64_t shares = std::min<std::int64_t>(omp_get_max_threads(), kMostShares);
#pragma omp parallel for schedule(static, 1)
  for (std::int64_t share = 0; share < shares; ++share) {
    const std::int64_t first = cpu::first_of_part(out.start, 0, share, shares);
    const std::int64_t last = cpu::first_of_part(out.start, 0, share + 1, shares);
    for (std::int64_t i = 0; i < rows(); ++i) {
      for (std::int64_t k = start[i]; k < start[i + 1]; ++k) {
        if (column[k] < first || column[k] >= last) continue;
        const std::int64_t at = next[column[k]]++;
        out.row[at] = static_cast<std::int32_t>(i);
        if (has_values) out.value[at] = value[k];
        if (has_codes) out.code[at] = code[k];
      }
    }
  }
  return out;
}

SparseMatrix::SparseMatrix() : storage_(std::make_shared<const Storage>()) {}

SparseMatrix::SparseMatrix(std::int64_t columns, std::vector<std::int64_t> row_start, std::vector<std::int32_t> column,
                           std::vector<double> value) {
  check(0 <= columns && columns <= kMaxExtent, "sparse matrix", columns, " columns; at most ", kMaxExtent);
  check(!row_start.empty() && row_start.size() - 1 <= static_cast<std::size_t>(kMaxExtent), "sparse matrix",
        row_start.size(), " row starts; expected one more than rows, at most ", kMaxExtent, " rows");
  check(column.size() == value.size() && row_start.front() == 0 &&
            row_start.back() == static_cast<std::int64_t>(value.size()),
        "sparse matrix", column.size(), " columns and ", value.size(), " values for row starts from ",
        row_start.front(), " to ", row_start.back());
  check_rows(columns, row_start, column);
  auto storage = std::make_shared<Storage>();
  storage->columns = columns;
  storage->start = std::move(row_start);
  storage->column = std::move(column);
  storage->value = std::move(value);
  storage->code = codes_of(storage->value);
  storage_ = std::move(storage);
}

void SparseMatrix::set_codes(std::vector<std::uint16_t> code, std::vector<double> row_scale,
                             std::vector<double> column_scale) {
  auto storage = std::make_shared<Storage>();
  storage->columns = storage_->columns;
  storage->start = storage_->start;
  storage->column = storage_->column;
  storage->value = storage_->value;
  storage->code = std::move(code);
  storage->row_scale = std::move(row_scale);
  storage->column_scale = std::move(column_scale);
  storage_ = std::move(storage);
}

SparseMatrix SparseMatrix::from_dense(std::int64_t rows, std::int64_t columns, std::span<const double> values) {
  check(rows >= 0 && columns >= 0 && static_cast<std::int64_t>(values.size()) == rows * columns, "sparse matrix",
        values.size(), " values for ", rows, " x ", columns);
  std::vector<std::int64_t> start = {0};
  std::vector<std::int32_t> column;
  std::vector<double> value;
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t j = 0; j < columns; ++j) {
      const double entry = values[row * columns + j];
      if (entry == 0) continue;
      column.push_back(static_cast<std::int32_t>(j));
      value.push_back(entry);
    }
    start.push_back(static_cast<std::int64_t>(value.size()));
  }
  return {columns, std::move(start), std::move(column), std::move(value)};
}

SparseMatrix SparseMatrix::stacked(const SparseMatrix& top, const SparseMatrix& bottom) {
  const Storage& above = *top.storage_;
  const Storage& below = *bottom.storage_;
  std::vector<std::int64_t> start = above.start;
  std::vector<std::int32_t> column = above.column;
  std::vector<double> value = above.value;
  for (std::size_t row = 1; row < below.start.size(); ++row) start.push_back(above.start.back() + below.start[row]);
  column.insert(column.end(), below.column.begin(), below.column.end());
  value.insert(value.end(), below.value.begin(), below.value.end());
  SparseMatrix out(std::max(above.columns, below.columns), std::move(start), std::move(column), std::move(value));
  if (above.row_scale.empty() || below.row_scale.empty() || above.column_scale != below.column_scale) return out;
  std::vector<std::uint16_t> code = above.code;
  std::vector<double> row_scale = above.row_scale;
  code.insert(code.end(), below.code.begin(), below.code.end());
  row_scale.insert(row_scale.end(), below.row_scale.begin(), below.row_scale.end());
  out.set_codes(std::move(code), std::move(row_scale), above.column_scale);
  return out;
}

std::int64_t SparseMatrix::rows() const { return storage_->rows(); }
std::int64_t SparseMatrix::columns() const { return storage_->columns; }
std::int64_t SparseMatrix::nonzeros() const { return storage_->start.back(); }
std::span<const std::int64_t> SparseMatrix::row_start() const { return storage_->start; }
std::span<const std::int32_t> SparseMatrix::column() const { return storage_->column; }
std::span<const double> SparseMatrix::value() const { return storage_->value; }

bool SparseMatrix::is_finite() const {
  return std::ranges::all_of(storage_->value, [](double value) { return std::isfinite(value); });
}

const cpu::SlicedLines& SparseMatrix::sliced_rows() const {
  const Storage& matrix = *storage_;
  std::call_once(matrix.has_sliced_rows, [&] { matrix.sliced_rows = {matrix.lines(), columns()}; });
  return matrix.sliced_rows;
}

const cpu::SlicedLines& SparseMatrix::sliced_columns() const {
  const Storage& matrix = *storage_;
  std::call_once(matrix.has_sliced_columns, [&] {
    const bool is_packed = cpu::SlicedLines::can_pack(matrix.lines(), rows());
    const Transposed lines = matrix.transpose(!is_packed, is_packed);
    matrix.sliced_columns = {{.count = columns(),
                              .start = lines.start.data(),
                              .index = lines.row.data(),
                              .value = is_packed ? nullptr : lines.value.data(),
                              .code = is_packed ? lines.code.data() : nullptr},
                             rows()};
  });
  return matrix.sliced_columns;
}

void SparseMatrix::prepare() const {
  (void)sliced_rows();
  (void)sliced_columns();
}

void SparseMatrix::multiply(std::span<const double> v, std::span<double> out) const {
  check_sizes(v.size(), columns(), out.size(), rows());
  const cpu::SlicedLines& lines = sliced_rows();
  const double* const from = lines.is_packed() ? scaled_input(v, storage_->column_scale) : v.data();
  lines.multiply(from, lines.is_packed() ? scales(storage_->row_scale) : nullptr, {}, out.data());
}

void SparseMatrix::multiply_transposed(std::span<const double> v, std::span<double> out) const {
  multiply_transposed(v, 0.0, {}, out);
}

void SparseMatrix::multiply_transposed(std::span<const double> v, double shift, std::span<const double> x,
                                       std::span<double> out) const {
  check_sizes(v.size(), rows(), out.size(), columns());
  check(x.empty() || x.size() == out.size(), "sparse product", "shift of a vector of ", x.size(),
        " elements; expected ", out.size());
  const cpu::SlicedLines& lines = sliced_columns();
  const double* const from = lines.is_packed() ? scaled_input(v, storage_->row_scale) : v.data();
  lines.multiply(from, lines.is_packed() ? scales(storage_->column_scale) : nullptr,
                 {shift, x.empty() ? nullptr : x.data()}, out.data());
}

void SparseMatrix::multiply_block(std::int64_t width, std::span<const double> v, std::span<double> out) const {
  check_sizes(v.size(), columns() * width, out.size(), rows() * width);
  cpu::sparse_block_product({rows(), storage_->start.data(), storage_->column.data(), storage_->value.data()}, width,
                            v.data(), out.data());
}

void SparseMatrix::multiply_block_transposed(std::int64_t width, std::span<const double> v,
                                             std::span<double> out) const {
  check_sizes(v.size(), rows() * width, out.size(), columns() * width);
  std::call_once(storage_->has_transposed, [&] { storage_->transposed = storage_->transpose(true, false); });
  const Transposed& lines = storage_->transposed;
  cpu::sparse_block_product({columns(), lines.start.data(), lines.row.data(), lines.value.data()}, width, v.data(),
                            out.data());
}

SparseMatrix SparseMatrix::select_rows(std::span<const std::int64_t> rows) const {
  const Storage& from = *storage_;
  std::vector<std::int64_t> start = {0};
  std::vector<std::int32_t> column;
  std::vector<double> value;
  std::vector<std::uint16_t> code;
  std::vector<double> row_scale;
  for (const std::int64_t row : rows) {
    check(0 <= row && row < this->rows(), "sparse matrix", "row ", row, " of ", this->rows());
    column.insert(column.end(), from.column.begin() + from.start[row], from.column.begin() + from.start[row + 1]);
    value.insert(value.end(), from.value.begin() + from.start[row], from.value.begin() + from.start[row + 1]);
    start.push_back(static_cast<std::int64_t>(value.size()));
    if (from.row_scale.empty()) continue;
    code.insert(code.end(), from.code.begin() + from.start[row], from.code.begin() + from.start[row + 1]);
    row_scale.push_back(from.row_scale[row]);
  }
  SparseMatrix out(columns(), std::move(start), std::move(column), std::move(value));
  if (!row_scale.empty()) out.set_codes(std::move(code), std::move(row_scale), from.column_scale);
  return out;
}

SparseMatrix SparseMatrix::with_unit_rows() const {
  const Storage& from = *storage_;
  std::vector<double> value = from.value;
  std::vector<double> row_scale(rows(), 1.0);
  for (std::int64_t row = 0; row < rows(); ++row) {
    double sum = 0;
    for (std::int64_t k = from.start[row]; k < from.start[row + 1]; ++k) sum += value[k] * value[k];
    const double norm = std::sqrt(sum);
    if (norm == 0) continue;
    for (std::int64_t k = from.start[row]; k < from.start[row + 1]; ++k) value[k] /= norm;
    row_scale[row] = (from.row_scale.empty() ? 1 : from.row_scale[row]) / norm;
  }
  SparseMatrix out(columns(), from.start, from.column, std::move(value));
  if (!from.code.empty()) out.set_codes(from.code, std::move(row_scale), from.column_scale);
  return out;
}

SparseMatrix SparseMatrix::with_columns(std::int64_t columns) const {
  SparseMatrix out(columns, storage_->start, storage_->column, storage_->value);
  std::vector<double> column_scale = storage_->column_scale;
  if (!column_scale.empty()) column_scale.resize(columns, 1.0);
  if (!storage_->row_scale.empty()) out.set_codes(storage_->code, storage_->row_scale, std::move(column_scale));
  return out;
}

SparseMatrix SparseMatrix::with_column_order(std::span<const std::int32_t> order) const {
  check(static_cast<std::int64_t>(order.size()) == columns(), "sparse matrix", order.size(), " numbers for ", columns(),
        " columns");
  std::vector<bool> is_there(order.size());
  for (const std::int32_t column : order) {
    check(0 <= column && column < columns() && !is_there[column], "sparse matrix", "column ", column, " of ", columns(),
          " is out of range or comes twice");
    is_there[column] = true;
  }
  return select_columns(order, std::vector<double>(order.size(), 1.0));
}

SparseMatrix SparseMatrix::select_columns(std::span<const std::int32_t> columns, std::span<const double> factor) const {
  const Storage& from = *storage_;
  check(columns.size() == factor.size(), "sparse matrix", factor.size(), " factors for ", columns.size(), " columns");
  for (const std::int32_t column : columns)
    check(0 <= column && column < this->columns(), "sparse matrix", "column ", column, " of ", this->columns());
  // Column j of this matrix goes to place[first[j]], ..., up to first[j + 1].
  std::vector<std::int64_t> first(this->columns() + 1);
  for (const std::int32_t column : columns) ++first[column + 1];
  std::partial_sum(first.begin(), first.end(), first.begin());
  std::vector<std::int32_t> place(columns.size());
  std::vector<std::int64_t> next(first.begin(), first.end() - 1);
  for (std::size_t j = 0; j < columns.size(); ++j) place[next[columns[j]]++] = static_cast<std::int32_t>(j);
  std::vector<std::int64_t> start = {0};
  std::vector<std::int32_t> column;
  std::vector<double> value;
  std::vector<std::uint16_t> code;
  std::vector<std::pair<std::int32_t, std::int64_t>> entries;  // of a row: new column, and which entry of `from`
  for (std::int64_t row = 0; row < rows(); ++row) {
    entries.clear();
    for (std::int64_t k = from.start[row]; k < from.start[row + 1]; ++k)
      for (std::int64_t at = first[from.column[k]]; at < first[from.column[k] + 1]; ++at)
        entries.emplace_back(place[at], k);
    std::ranges::sort(entries);
    for (const auto& [to, k] : entries) {
      column.push_back(to);
      value.push_back(from.value[k] * factor[to]);
      if (!from.code.empty()) code.push_back(from.code[k]);
    }
    start.push_back(static_cast<std::int64_t>(column.size()));
  }
  SparseMatrix out(static_cast<std::int64_t>(columns.size()), std::move(start), std::move(column), std::move(value));
  const bool is_whole = std::ranges::all_of(factor, [](double each) { return each == 1.0; });
  if (from.code.empty() || (is_whole && from.row_scale.empty())) return out;
  std::vector<double> row_scale = from.row_scale, column_scale(factor.begin(), factor.end());
  if (row_scale.empty()) row_scale.assign(rows(), 1.0);
  for (std::size_t j = 0; j < columns.size() && !from.column_scale.empty(); ++j)
    column_scale[j] *= from.column_scale[columns[j]];
  if (is_whole && from.column_scale.empty()) column_scale.clear();
  out.set_codes(std::move(code), std::move(row_scale), std::move(column_scale));
  return out;
}

std::vector<double> SparseMatrix::to_dense() const {
  std::vector<double> out(rows() * columns());
  for (std::int64_t row = 0; row < rows(); ++row) {
    for (std::int64_t k = storage_->start[row]; k < storage_->start[row + 1]; ++k)
      out[row * columns() + storage_->column[k]] = storage_->value[k];
  }
  return out;
}

}  // namespace deq
