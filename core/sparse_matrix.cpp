#include "core/sparse_matrix.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <mutex>
#include <numeric>
#include <optional>
#include <utility>

#include "core/cpu/sparse_product.h"
#include "core/error.h"

namespace deq {

/// Compressed columns, longest first: neighbours have about the same length, so that the ends of their loops are
/// predicted, which is worth a factor of two where most columns hold an entry or two (word counts).
struct SparseMatrix::Transposed {
  std::vector<std::int64_t> start;
  std::vector<std::int32_t> row;
  std::vector<double> value;
  std::vector<std::int32_t> column;      ///< which column each line is
  std::vector<std::uint16_t> code;       ///< as Storage::code, in the order of `value`
  std::vector<std::uint16_t> short_row;  ///< beside `code`; empty when there are more than 2^16 rows
};

struct SparseMatrix::Storage {
  std::int64_t columns = 0;
  std::vector<std::int64_t> start = {0};
  std::vector<std::int32_t> column;
  std::vector<double> value;
  /// Entry k of row i is code[k] * row_scale[i] within rounding; both are empty when that is not known, and `row_scale`
  /// alone when the scales are ones. Products of one vector read these.
  std::vector<std::uint16_t> code;
  std::vector<double> row_scale;

  /// Where the columns are few enough: their numbers in 16 bits beside `code`, as cpu::CompressedLines has them.
  std::int64_t segments = 0;
  std::vector<std::uint16_t> short_column;
  std::vector<std::int64_t> segment_start;

  mutable std::once_flag is_transposed;
  mutable std::optional<Transposed> transposed;

  /// Fills short_column where there are codes and few enough columns.
  void shorten_columns();
};

namespace {

constexpr std::int64_t kMostSegments = 4;  // beyond, the ends of their loops cost more than 2 bytes an entry
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
  const auto is_code = [](double value) { return value >= 0 && value < cpu::kSegment && value == std::floor(value); };
  if (!std::ranges::all_of(values, is_code)) return {};
  return {values.begin(), values.end()};
}

void check_sizes(std::size_t in, std::int64_t expected_in, std::size_t out, std::int64_t expected_out) {
  check(static_cast<std::int64_t>(in) == expected_in && static_cast<std::int64_t>(out) == expected_out,
        "sparse product", "vectors of ", in, " and ", out, " elements; expected ", expected_in, " and ", expected_out);
}

}  // namespace

void SparseMatrix::Storage::shorten_columns() {
  if (code.empty() || columns > kMostSegments * cpu::kSegment) return;
  segments = std::max<std::int64_t>(1, (columns + cpu::kSegment - 1) / cpu::kSegment);
  short_column.resize(column.size());
  std::ranges::transform(column, short_column.begin(),
                         [](std::int32_t at) { return static_cast<std::uint16_t>(at % cpu::kSegment); });
  segment_start.clear();
  for (std::size_t row = 0; row + 1 < start.size(); ++row) {
    std::int64_t k = start[row];
    for (std::int64_t segment = 0; segment < segments; ++segment) {
      segment_start.push_back(k);
      while (k < start[row + 1] && column[k] < (segment + 1) * cpu::kSegment) ++k;
    }
  }
  segment_start.push_back(start.back());
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
  storage->shorten_columns();
  storage_ = std::move(storage);
}

void SparseMatrix::set_codes(std::vector<std::uint16_t> code, std::vector<double> row_scale) {
  auto storage = std::make_shared<Storage>();
  storage->columns = storage_->columns;
  storage->start = storage_->start;
  storage->column = storage_->column;
  storage->value = storage_->value;
  storage->code = std::move(code);
  storage->row_scale = std::move(row_scale);
  storage->shorten_columns();
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
  if (above.row_scale.empty() || below.row_scale.empty()) return out;
  std::vector<std::uint16_t> code = above.code;
  std::vector<double> row_scale = above.row_scale;
  code.insert(code.end(), below.code.begin(), below.code.end());
  row_scale.insert(row_scale.end(), below.row_scale.begin(), below.row_scale.end());
  out.set_codes(std::move(code), std::move(row_scale));
  return out;
}

std::int64_t SparseMatrix::rows() const { return static_cast<std::int64_t>(storage_->start.size()) - 1; }
std::int64_t SparseMatrix::columns() const { return storage_->columns; }
std::int64_t SparseMatrix::nonzeros() const { return storage_->start.back(); }
std::span<const std::int64_t> SparseMatrix::row_start() const { return storage_->start; }
std::span<const std::int32_t> SparseMatrix::column() const { return storage_->column; }
std::span<const double> SparseMatrix::value() const { return storage_->value; }

bool SparseMatrix::is_finite() const {
  return std::ranges::all_of(storage_->value, [](double value) { return std::isfinite(value); });
}

const SparseMatrix::Transposed& SparseMatrix::transposed() const {
  const Storage& matrix = *storage_;
  std::call_once(matrix.is_transposed, [&] {
    std::vector<std::int64_t> length(matrix.columns);
    for (const std::int32_t column : matrix.column) ++length[column];
    Transposed out;
    out.column.resize(matrix.columns);
    std::iota(out.column.begin(), out.column.end(), 0);
    std::ranges::stable_sort(out.column, std::greater<>{}, [&](std::int32_t column) { return length[column]; });
    out.start = {0};
    out.start.reserve(matrix.columns + 1);
    std::vector<std::int64_t> next(matrix.columns);
    for (const std::int32_t column : out.column) {
      next[column] = out.start.back();
      out.start.push_back(out.start.back() + length[column]);
    }
    out.row.resize(matrix.value.size());
    out.value.resize(matrix.value.size());
    const bool has_codes = !matrix.code.empty();
    const bool is_short = has_codes && rows() <= cpu::kSegment;
    if (has_codes) out.code.resize(matrix.value.size());
    if (is_short) out.short_row.resize(matrix.value.size());
    for (std::int64_t row = 0; row < rows(); ++row) {
      for (std::int64_t k = matrix.start[row]; k < matrix.start[row + 1]; ++k) {
        const std::int64_t at = next[matrix.column[k]]++;
        out.row[at] = static_cast<std::int32_t>(row);
        out.value[at] = matrix.value[k];
        if (has_codes) out.code[at] = matrix.code[k];
        if (is_short) out.short_row[at] = static_cast<std::uint16_t>(row);
      }
    }
    matrix.transposed = std::move(out);
  });
  return *matrix.transposed;
}

void SparseMatrix::multiply(std::span<const double> v, std::span<double> out) const {
  check_sizes(v.size(), columns(), out.size(), rows());
  const Storage& matrix = *storage_;
  cpu::CompressedLines lines{rows(), matrix.start.data(), matrix.column.data(), matrix.value.data()};
  if (!matrix.code.empty()) lines.code = matrix.code.data();
  if (!matrix.row_scale.empty()) lines.scale = matrix.row_scale.data();
  if (!matrix.short_column.empty()) {
    lines.short_index = matrix.short_column.data();
    lines.segment_start = matrix.segment_start.data();
    lines.segments = matrix.segments;
  }
  cpu::sparse_product(lines, v.data(), out.data());
}

void SparseMatrix::multiply_transposed(std::span<const double> v, std::span<double> out) const {
  check_sizes(v.size(), rows(), out.size(), columns());
  const Transposed& columns_first = transposed();
  cpu::CompressedLines lines{columns(), columns_first.start.data(), columns_first.row.data(),
                             columns_first.value.data(), columns_first.column.data()};
  if (!columns_first.code.empty()) lines.code = columns_first.code.data();
  if (!columns_first.short_row.empty()) lines.short_index = columns_first.short_row.data();
  const std::vector<double>& scale = storage_->row_scale;
  if (scale.empty()) {
    cpu::sparse_product(lines, v.data(), out.data());
    return;
  }
  // Kept from call to call, so that products allocate nothing; each calling thread has its own.
  thread_local std::vector<double> scaled;
  scaled.resize(std::max(scaled.size(), v.size()));
  std::ranges::transform(v, scale, scaled.begin(), std::multiplies<>{});
  cpu::sparse_product(lines, scaled.data(), out.data());
}

void SparseMatrix::multiply_block(std::int64_t width, std::span<const double> v, std::span<double> out) const {
  check_sizes(v.size(), columns() * width, out.size(), rows() * width);
  cpu::sparse_block_product({rows(), storage_->start.data(), storage_->column.data(), storage_->value.data()}, width,
                            v.data(), out.data());
}

void SparseMatrix::multiply_block_transposed(std::int64_t width, std::span<const double> v,
                                             std::span<double> out) const {
  check_sizes(v.size(), rows() * width, out.size(), columns() * width);
  const Transposed& lines = transposed();
  cpu::sparse_block_product({columns(), lines.start.data(), lines.row.data(), lines.value.data(), lines.column.data()},
                            width, v.data(), out.data());
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
  if (!row_scale.empty()) out.set_codes(std::move(code), std::move(row_scale));
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
  if (!from.code.empty()) out.set_codes(from.code, std::move(row_scale));
  return out;
}

SparseMatrix SparseMatrix::with_columns(std::int64_t columns) const {
  SparseMatrix out(columns, storage_->start, storage_->column, storage_->value);
  if (!storage_->row_scale.empty()) out.set_codes(storage_->code, storage_->row_scale);
  return out;
}

SparseMatrix SparseMatrix::with_column_order(std::span<const std::int32_t> order) const {
  const Storage& from = *storage_;
  check(static_cast<std::int64_t>(order.size()) == columns(), "sparse matrix", order.size(), " numbers for ", columns(),
        " columns");
  std::vector<std::int32_t> place(order.size(), -1);
  for (std::size_t j = 0; j < order.size(); ++j) {
    check(0 <= order[j] && order[j] < columns() && place[order[j]] < 0, "sparse matrix", "column ", order[j], " of ",
          columns(), " is out of range or comes twice");
    place[order[j]] = static_cast<std::int32_t>(j);
  }
  std::vector<std::int64_t> entry(from.value.size());  // which entry of `from` each one is
  std::iota(entry.begin(), entry.end(), std::int64_t{0});
  for (std::int64_t row = 0; row < rows(); ++row)
    std::sort(entry.begin() + from.start[row], entry.begin() + from.start[row + 1],
              [&](std::int64_t a, std::int64_t b) { return place[from.column[a]] < place[from.column[b]]; });
  std::vector<std::int32_t> column;
  std::vector<double> value;
  std::vector<std::uint16_t> code;
  for (const std::int64_t k : entry) {
    column.push_back(place[from.column[k]]);
    value.push_back(from.value[k]);
    if (!from.row_scale.empty()) code.push_back(from.code[k]);
  }
  SparseMatrix out(columns(), from.start, std::move(column), std::move(value));
  if (!from.row_scale.empty()) out.set_codes(std::move(code), from.row_scale);
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
