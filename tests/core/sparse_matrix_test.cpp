#include "core/sparse_matrix.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <cmath>
#include <limits>
#include <random>

#include "core/error.h"

namespace deq {
namespace {

/// Sums of up to some thousand terms in another order.
constexpr double kRounding = 1e-12;

/// Rows of very different lengths, some empty; column popularity falls off like that of words.
SparseMatrix random_matrix(std::int64_t rows, std::int64_t columns, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<double> dense(rows * columns);
  for (std::int64_t i = 0; i < rows; ++i) {
    const double density = i % 7 == 3 ? 0 : uniform(random);
    for (std::int64_t j = 0; j < columns; ++j) {
      if (uniform(random) < density / (1 + 0.1 * static_cast<double>(j % 50)))
        dense[i * columns + j] = uniform(random) - 0.5;
    }
  }
  return SparseMatrix::from_dense(rows, columns, dense);
}

std::vector<double> random_vector(std::int64_t size, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> out(size);
  for (double& value : out) value = normal(random);
  return out;
}

double distance(std::span<const double> a, std::span<const double> b) {
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

/// X V by the definition; `is_transposed` for X^T V.
std::vector<double> dense_product(const SparseMatrix& x, std::int64_t width, std::span<const double> v,
                                  bool is_transposed) {
  const std::vector<double> dense = x.to_dense();
  std::vector<double> out((is_transposed ? x.columns() : x.rows()) * width);
  for (std::int64_t i = 0; i < x.rows(); ++i) {
    for (std::int64_t j = 0; j < x.columns(); ++j) {
      const std::int64_t from = is_transposed ? i : j;
      const std::int64_t to = is_transposed ? j : i;
      for (std::int64_t k = 0; k < width; ++k) out[to * width + k] += dense[i * x.columns() + j] * v[from * width + k];
    }
  }
  return out;
}

struct Threads {
  explicit Threads(int count) : before(omp_get_max_threads()) { omp_set_num_threads(count); }
  ~Threads() { omp_set_num_threads(before); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  int before;
};

TEST_CASE("sparse products equal those of the dense matrix") {
  for (const auto& [rows, columns] : {std::pair{1, 1}, {3, 40}, {40, 3}, {150, 301}, {301, 150}}) {
    INFO(rows << " x " << columns);
    const SparseMatrix x = random_matrix(rows, columns, 5);
    for (const std::int64_t width : {1, 3, 10}) {
      const auto v = random_vector(columns * width, 1);
      const auto r = random_vector(rows * width, 2);
      std::vector<double> out(rows * width, 7.0);
      std::vector<double> back(columns * width, 7.0);
      x.multiply_block(width, v, out);
      x.multiply_block_transposed(width, r, back);
      CHECK(distance(out, dense_product(x, width, v, false)) < kRounding);
      CHECK(distance(back, dense_product(x, width, r, true)) < kRounding);
      if (width > 1) continue;
      x.multiply(v, out);
      x.multiply_transposed(r, back);
      CHECK(distance(out, dense_product(x, 1, v, false)) < kRounding);
      CHECK(distance(back, dense_product(x, 1, r, true)) < kRounding);
    }
  }
}

TEST_CASE("products of counts and of counts divided by row norms equal those of the dense matrix") {
  const SparseMatrix pattern = random_matrix(60, 90, 4);
  std::vector<double> counts(pattern.value().size());
  for (std::size_t k = 0; k < counts.size(); ++k) counts[k] = static_cast<double>(k % 5 == 0 ? 65535 - k : 1 + k % 7);
  const SparseMatrix whole(90, {pattern.row_start().begin(), pattern.row_start().end()},
                           {pattern.column().begin(), pattern.column().end()}, counts);
  const std::vector<std::int64_t> rows = {7, 3, 59, 7};
  const SparseMatrix unit = whole.with_unit_rows();
  // Products of 65535 with numbers of size 1, summed: relative to that size.
  constexpr double kLarge = 65535 * kRounding;
  for (const SparseMatrix& x : {whole, unit, unit.select_rows(rows), SparseMatrix::stacked(unit, unit),
                                SparseMatrix::stacked(unit, whole), unit.with_columns(120), unit.with_unit_rows()}) {
    const auto v = random_vector(x.columns(), 1);
    const auto r = random_vector(x.rows(), 2);
    std::vector<double> out(x.rows(), 7.0);
    std::vector<double> back(x.columns(), 7.0);
    x.multiply(v, out);
    x.multiply_transposed(r, back);
    CHECK(distance(out, dense_product(x, 1, v, false)) < kLarge);
    CHECK(distance(back, dense_product(x, 1, r, true)) < kLarge);
  }
}

TEST_CASE("counts in more columns than 16 bits tell apart have the products of their values") {
  // Lines of 0 to 6 entries on both sides of 2^16, and one line of many.
  constexpr std::int64_t kWide = (std::int64_t{1} << 17U) + 500;
  std::vector<std::int64_t> start = {0};
  std::vector<std::int32_t> column;
  std::vector<double> value;
  for (std::int64_t row = 0; row < 40; ++row) {
    const std::int64_t entries = row == 20 ? 300 : row % 7;
    for (std::int64_t k = 0; k < entries; ++k) {
      column.push_back(static_cast<std::int32_t>((k * kWide) / entries + row));
      value.push_back(static_cast<double>(1 + (row + k) % 5));
    }
    start.push_back(static_cast<std::int64_t>(column.size()));
  }
  const SparseMatrix x(kWide, start, column, value);
  const auto v = random_vector(kWide, 1);
  const auto r = random_vector(40, 2);
  std::vector<double> out(40, 7.0), back(kWide, 7.0), expected(40, 0.0), expected_back(kWide, 0.0);
  for (std::int64_t row = 0; row < 40; ++row)
    for (std::int64_t k = start[row]; k < start[row + 1]; ++k) {
      expected[row] += value[k] * v[column[k]];
      expected_back[column[k]] += value[k] * r[row];
    }
  x.multiply(v, out);
  x.multiply_transposed(r, back);
  CHECK(distance(out, expected) < 1000 * kRounding);
  CHECK(distance(back, expected_back) < 10 * kRounding);
}

TEST_CASE("columns in another order keep their entries, values and counts alike") {
  const SparseMatrix x = random_matrix(30, 50, 6);
  std::vector<std::int32_t> order(50);
  for (std::int32_t j = 0; j < 50; ++j) order[j] = (7 * j + 3) % 50;
  std::vector<double> counts(x.value().size());
  for (std::size_t k = 0; k < counts.size(); ++k) counts[k] = static_cast<double>(1 + k % 9);
  const SparseMatrix whole(50, {x.row_start().begin(), x.row_start().end()}, {x.column().begin(), x.column().end()},
                           counts);
  const auto v = random_vector(50, 1);
  std::vector<double> moved(50);
  for (std::int32_t j = 0; j < 50; ++j) moved[j] = v[order[j]];
  for (const SparseMatrix& from : {x, whole, whole.with_unit_rows()}) {
    const SparseMatrix to = from.with_column_order(order);
    const auto before = from.to_dense(), after = to.to_dense();
    for (std::int64_t row = 0; row < 30; ++row)
      for (std::int64_t j = 0; j < 50; ++j) CHECK(after[row * 50 + j] == before[row * 50 + order[j]]);
    std::vector<double> out(30), expected(30);
    to.multiply(moved, out);
    from.multiply(v, expected);
    CHECK(distance(out, expected) < 10 * kRounding);
  }
  CHECK_THROWS_AS((void)x.with_column_order(std::vector<std::int32_t>(50, 1)), Error);
  CHECK_THROWS_AS((void)x.with_column_order(std::vector<std::int32_t>(49)), Error);
}

/// Counts with lines of every kind in both directions: a few entries, some hundreds, more than 2048 in one column and
/// in one row, none; and a few counts that take several bytes.
SparseMatrix count_matrix() {
  constexpr std::int64_t kRows = 2500, kColumns = 3000;
  std::mt19937 random(11);
  std::vector<std::int64_t> start = {0};
  std::vector<std::int32_t> column;
  std::vector<double> value;
  for (std::int64_t i = 0; i < kRows; ++i) {
    const std::int64_t step = i == 7 ? 1 : i % 5 == 3 ? 0 : 3 + static_cast<std::int64_t>(random() % 400);
    for (std::int64_t j = 0; j < kColumns && i % 5 != 3; j += step + (step > 1 ? j / 50 : 0)) {
      column.push_back(static_cast<std::int32_t>(j));
      value.push_back(static_cast<double>(random() % 97 == 0 ? 256 + random() % 600 : 1 + random() % 4));
    }
    start.push_back(static_cast<std::int64_t>(column.size()));
  }
  return {kColumns, std::move(start), std::move(column), std::move(value)};
}

TEST_CASE("products of lines of any length equal those of the dense matrix") {
  const SparseMatrix counts = count_matrix();
  std::vector<double> any(counts.value().begin(), counts.value().end());
  for (double& value : any) value += 0.25;
  const SparseMatrix values(counts.columns(), {counts.row_start().begin(), counts.row_start().end()},
                            {counts.column().begin(), counts.column().end()}, any);
  const auto v = random_vector(counts.columns(), 1);
  const auto r = random_vector(counts.rows(), 2);
  for (const SparseMatrix& x : {counts, values, counts.with_unit_rows()}) {
    std::vector<double> out(x.rows(), 7.0), back(x.columns(), 7.0), shifted(x.columns(), 7.0);
    x.multiply(v, out);
    x.multiply_transposed(r, back);
    x.multiply_transposed(r, -0.5, v, shifted);
    CHECK(distance(out, dense_product(x, 1, v, false)) < 1e5 * kRounding);
    CHECK(distance(back, dense_product(x, 1, r, true)) < 1e5 * kRounding);
    for (std::int64_t j = 0; j < x.columns(); ++j) CHECK(shifted[j] == doctest::Approx(back[j] - 0.5 * v[j]));
  }
  std::vector<double> out(counts.columns());
  CHECK_THROWS_AS(counts.multiply_transposed(r, 1.0, r, out), Error);
}

TEST_CASE("a line without entries has a zero product whatever the vector holds") {
  const SparseMatrix x(3, {0, 0, 2, 2, 3}, {0, 2, 1}, {1, 2, 3});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> out(4, 7.0);
  x.multiply(std::vector<double>{nan, 5.0, nan}, out);
  CHECK(out[0] == 0.0);
  CHECK(std::isnan(out[1]));
  CHECK(out[2] == 0.0);
  CHECK(out[3] == 15.0);
}

TEST_CASE("columns are selected in any order, more than once, and times a factor") {
  const SparseMatrix x = random_matrix(30, 20, 6);
  std::vector<double> counts(x.value().size());
  for (std::size_t k = 0; k < counts.size(); ++k) counts[k] = static_cast<double>(1 + k % 9);
  const SparseMatrix whole(20, {x.row_start().begin(), x.row_start().end()}, {x.column().begin(), x.column().end()},
                           counts);
  const std::vector<std::int32_t> columns = {19, 3, 3, 0, 7};
  const std::vector<double> factor = {1.0, 2.5, -1.0, 0.1, 3.0};
  const auto v = random_vector(5, 1);
  const auto r = random_vector(30, 2);
  for (const SparseMatrix& from :
       {x, whole, whole.with_unit_rows(),
        whole.select_columns(
            std::vector<std::int32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19},
            std::vector<double>(20, 0.3))}) {
    const SparseMatrix chosen = from.select_columns(columns, factor);
    const auto before = from.to_dense(), after = chosen.to_dense();
    for (std::int64_t row = 0; row < 30; ++row)
      for (std::int64_t j = 0; j < 5; ++j) CHECK(after[row * 5 + j] == before[row * 20 + columns[j]] * factor[j]);
    for (const SparseMatrix& to : {chosen, chosen.with_unit_rows(), chosen.with_columns(5)}) {
      std::vector<double> out(30), back(5);
      to.multiply(v, out);
      to.multiply_transposed(r, back);
      CHECK(distance(out, dense_product(to, 1, v, false)) < 100 * kRounding);
      CHECK(distance(back, dense_product(to, 1, r, true)) < 100 * kRounding);
    }
    const SparseMatrix twice = SparseMatrix::stacked(chosen, chosen), mixed = SparseMatrix::stacked(chosen, whole);
    std::vector<double> out(60), wide(60);
    const auto w = random_vector(20, 3);
    twice.multiply(v, out);
    mixed.multiply(w, wide);
    CHECK(distance(out, dense_product(twice, 1, v, false)) < 100 * kRounding);
    CHECK(distance(wide, dense_product(mixed, 1, w, false)) < 100 * kRounding);
  }
  CHECK_THROWS_WITH_AS((void)x.select_columns(std::vector<std::int32_t>{20}, std::vector<double>{1.0}),
                       doctest::Contains("column 20 of 20"), Error);
  CHECK_THROWS_AS((void)x.select_columns(columns, std::vector<double>{1.0}), Error);
}

TEST_CASE("sparse products have the same bits on any number of threads") {
  const SparseMatrix counts = count_matrix();
  const auto count_weights = random_vector(counts.columns(), 3);
  const auto count_rows = random_vector(counts.rows(), 4);
  const SparseMatrix x = random_matrix(400, 700, 9);
  const auto v = random_vector(700, 1);
  const auto r = random_vector(400, 2);
  const auto run = [&](int threads) {
    const Threads limit(threads);
    std::vector<double> out(1100 + counts.rows() + counts.columns());
    x.multiply(v, std::span(out).first(400));
    x.multiply_transposed(r, std::span(out).subspan(400, 700));
    counts.multiply(count_weights, std::span(out).subspan(1100, counts.rows()));
    counts.multiply_transposed(count_rows, std::span(out).last(counts.columns()));
    return out;
  };
  const auto one = run(1);
  for (const int threads : {2, 3, 7}) CHECK(run(threads) == one);
}

TEST_CASE("a matrix without entries has zero products") {
  const SparseMatrix x(4, {0, 0, 0}, {}, {});
  std::vector<double> out(2, 7.0);
  std::vector<double> back(4, 7.0);
  x.multiply(std::vector<double>(4, 1.0), out);
  x.multiply_transposed(std::vector<double>(2, 1.0), back);
  CHECK(out == std::vector<double>(2));
  CHECK(back == std::vector<double>(4));
  CHECK(SparseMatrix().rows() == 0);
}

TEST_CASE("rows are selected in any order and more than once") {
  const SparseMatrix x = random_matrix(20, 9, 3);
  const std::vector<std::int64_t> rows = {5, 0, 5, 19};
  const auto dense = x.to_dense();
  const auto chosen = x.select_rows(rows).to_dense();
  for (std::size_t i = 0; i < rows.size(); ++i)
    CHECK(distance(std::span(chosen).subspan(9 * i, 9), std::span(dense).subspan(9 * rows[i], 9)) == 0);
  CHECK_THROWS_WITH_AS(x.select_rows(std::vector<std::int64_t>{20}), doctest::Contains("row 20 of 20"), Error);
}

TEST_CASE("rows divided by their norm have norm one and empty rows stay empty") {
  const SparseMatrix x = SparseMatrix::from_dense(3, 2, std::vector<double>{3, 4, 0, 0, 0, -2});
  CHECK(x.with_unit_rows().to_dense() == std::vector<double>{3.0 / 5, 4.0 / 5, 0, 0, 0, -1});
}

TEST_CASE("stacked matrices keep their rows and take the wider width") {
  const SparseMatrix top = SparseMatrix::from_dense(1, 2, std::vector<double>{1, 2});
  const SparseMatrix bottom = SparseMatrix::from_dense(2, 3, std::vector<double>{0, 0, 3, 4, 0, 0});
  CHECK(SparseMatrix::stacked(top, bottom).to_dense() == std::vector<double>{1, 2, 0, 0, 0, 3, 4, 0, 0});
  CHECK(top.with_columns(3).to_dense() == std::vector<double>{1, 2, 0});
  CHECK_THROWS_AS(bottom.with_columns(2), Error);
}

TEST_CASE("parts that do not make a matrix are refused with their row") {
  CHECK_THROWS_WITH_AS(SparseMatrix(3, {0, 2, 1, 2}, {0, 1}, {1, 1}), doctest::Contains("row 1"), Error);
  CHECK_THROWS_WITH_AS(SparseMatrix(3, {0, 2}, {1, 1}, {1, 1}), doctest::Contains("column 1 after 1"), Error);
  CHECK_THROWS_WITH_AS(SparseMatrix(3, {0, 2}, {1, 3}, {1, 1}), doctest::Contains("column 3 of a matrix with 3"),
                       Error);
  CHECK_THROWS_WITH_AS(SparseMatrix(3, {0, 2}, {-1, 2}, {1, 1}), doctest::Contains("column -1"), Error);
  CHECK_THROWS_AS(SparseMatrix(3, {0, 2}, {1}, {1}), Error);
  CHECK_THROWS_AS(SparseMatrix(3, {}, {}, {}), Error);
  const SparseMatrix x = SparseMatrix::from_dense(1, 2, std::vector<double>{1, 2});
  std::vector<double> out(1);
  CHECK_THROWS_WITH_AS(x.multiply(std::vector<double>(3), out), doctest::Contains("expected 2 and 1"), Error);
  CHECK_FALSE(SparseMatrix(1, {0, 1}, {0}, {std::numeric_limits<double>::quiet_NaN()}).is_finite());
}

}  // namespace
}  // namespace deq
