#include "solvers/bilevel/quasi_newton_memory.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <type_traits>
#include <utility>

#include "core/error.h"
#include "solvers/bilevel/vector_bundle.h"
#include "solvers/bilevel/vector_ops.h"

namespace deq {
namespace {

constexpr double kLeastCurvature = 1e-14;  // of |s| |y|: below it the sign of s^T y is rounding

/// Moves the entries [1.., 1..] of a square matrix of `width` columns to [0.., 0..], `count` rows.
void shift_up(std::vector<double>& matrix, int width, int count) {
  for (int row = 0; row < count; ++row)
    for (int column = 0; column < count; ++column)
      matrix[row * width + column] = matrix[(row + 1) * width + column + 1];
}

/// The first `count` rows and columns of a square matrix of `width` columns, in one of `wider` columns.
std::vector<double> widened(const std::vector<double>& matrix, int width, int count, int wider) {
  std::vector<double> out(static_cast<std::size_t>(wider) * static_cast<std::size_t>(wider));
  for (int row = 0; row < count; ++row) std::copy_n(matrix.begin() + row * width, count, out.begin() + row * wider);
  return out;
}

}  // namespace

QuasiNewtonMemory::QuasiNewtonMemory(std::int64_t size, int capacity, InitialInverse initial, PairPrecision precision)
    : size_(size), capacity_(capacity), initial_(initial), precision_(precision) {
  check(size >= 1, "QuasiNewtonMemory", "a vector has ", size, " entries; at least 1 is needed");
  check(capacity >= 1, "QuasiNewtonMemory", "capacity is ", capacity, "; at least 1 pair must be kept");
  cross_.resize(static_cast<std::size_t>(capacity) * static_cast<std::size_t>(capacity));
  squares_.resize(cross_.size());
}

template <class Scalar>
Scalar* QuasiNewtonMemory::numbers(Pair& pair) {
  if constexpr (std::is_same_v<Scalar, float>) {
    return pair.floats.data();
  } else {
    return pair.doubles.data();
  }
}

std::shared_ptr<QuasiNewtonMemory::Pair> QuasiNewtonMemory::make_pair() const {
  auto pair = std::make_shared<Pair>();
  const auto count = static_cast<std::size_t>(2 * size_);
  if (precision_ == PairPrecision::single_precision) {
    pair->floats.resize(count);
  } else {
    pair->doubles.resize(count);
  }
  return pair;
}

bool QuasiNewtonMemory::push(ConstVector s, ConstVector y) {
  const auto size = static_cast<std::size_t>(size_);
  check(s.size() == size && y.size() == size, "QuasiNewtonMemory::push", "the pair has ", s.size(), " and ", y.size(),
        " entries, expected ", size_);
  if (!spare_ || spare_.use_count() > 1) spare_ = make_pair();
  const auto store = [&]<class Scalar>(Scalar* to) { return store_pair(s, y, to, to + size_); };
  const PairSums sums =
      precision_ == PairPrecision::single_precision ? store(numbers<float>(*spare_)) : store(numbers<double>(*spare_));
  const double floor = kLeastCurvature * std::sqrt(sums.step_squared) * std::sqrt(sums.change_squared);
  // 1 / s^T y and s^T y / y^T y must be finite too; the negated comparison also refuses nan.
  if (!(sums.curvature > floor) || !std::isfinite(sums.change_squared) || !std::isfinite(1.0 / sums.curvature)) {
    ++refused_;
    return false;
  }
  spare_->curvature = sums.curvature;
  spare_->change_squared = sums.change_squared;
  std::shared_ptr<Pair> taken = std::move(spare_);
  if (pairs() == capacity_) drop_oldest();
  pairs_.push_back(std::move(taken));
  rank_ = 2 * pairs();
  return true;
}

void QuasiNewtonMemory::drop_oldest() {
  // Storage that a copy of this memory still reads is left to it.
  if (pairs_.front().use_count() == 1) spare_ = std::move(pairs_.front());
  pairs_.erase(pairs_.begin());
  known_ = std::max(0, known_ - 1);
  shift_up(cross_, capacity_, known_);
  shift_up(squares_, capacity_, known_);
}

template <class Scalar>
std::vector<const Scalar*> QuasiNewtonMemory::vectors() const {
  std::vector<const Scalar*> out;
  for (const auto& pair : pairs_) out.push_back(numbers<Scalar>(*pair));
  for (const auto& pair : pairs_) out.push_back(numbers<Scalar>(*pair) + size_);
  return out;
}

template <class Scalar>
std::vector<double> QuasiNewtonMemory::products_of(ConstVector x) const {
  const int count = pairs();
  std::vector<int> fresh(static_cast<std::size_t>(count - known_));
  std::iota(fresh.begin(), fresh.end(), count + known_);  // the changes of pairs known_, known_ + 1, ...
  const std::size_t width = 1 + fresh.size();
  std::vector<double> sums(2 * static_cast<std::size_t>(count) * width);
  const std::vector<const Scalar*> all = vectors<Scalar>();
  bundle_dots<Scalar>(all, x, fresh, sums);
  for (int j = known_; j < count; ++j) {
    const std::size_t column = static_cast<std::size_t>(1 + j - known_);
    for (int i = 0; i <= j; ++i) {
      cross_[i * capacity_ + j] = sums[i * width + column];
      squares_[i * capacity_ + j] = squares_[j * capacity_ + i] = sums[(count + i) * width + column];
    }
  }
  known_ = count;
  std::vector<double> along;
  for (std::size_t i = 0; i < all.size(); ++i) along.push_back(sums[i * width]);
  return along;
}

std::vector<double> QuasiNewtonMemory::products(ConstVector x) const {
  return precision_ == PairPrecision::single_precision ? products_of<float>(x) : products_of<double>(x);
}

/// The weights [2 pairs] of every s and y in B^-1 x - gain x, from their products with x.
std::vector<double> QuasiNewtonMemory::coefficients(ConstVector along, double gain) const {
  const int count = pairs();
  std::vector<double> first(static_cast<std::size_t>(count));  // alpha_i of the first loop
  std::vector<double> weights(2 * static_cast<std::size_t>(count));
  for (int i = count - 1; i >= 0; --i) {
    double sum = along[i];
    for (int j = i + 1; j < count; ++j) sum -= first[j] * cross_[i * capacity_ + j];
    first[i] = sum / pairs_[i]->curvature;
  }
  for (int i = 0; i < count; ++i) {
    double sum = along[count + i];
    for (int j = 0; j < count; ++j) sum -= first[j] * squares_[i * capacity_ + j];
    sum *= gain;
    for (int j = 0; j < i; ++j) sum += weights[j] * cross_[j * capacity_ + i];
    weights[i] = first[i] - sum / pairs_[i]->curvature;
    weights[count + i] = -gain * first[i];
  }
  return weights;
}

void QuasiNewtonMemory::apply(ConstVector x, Vector out) const {
  check(x.size() == static_cast<std::size_t>(size_) && out.size() == x.size(), "QuasiNewtonMemory::apply",
        "the vectors have ", x.size(), " and ", out.size(), " entries, expected ", size_);
  if (pairs_.empty()) return copy(x, out);
  const bool is_scaled = initial_ == InitialInverse::scaled;
  const double gain = is_scaled ? pairs_.back()->curvature / pairs_.back()->change_squared : 1.0;
  const std::vector<double> weights = coefficients(products(x), gain);
  if (precision_ == PairPrecision::single_precision) {
    bundle_combine<float>(vectors<float>(), weights, gain, x, out);
  } else {
    bundle_combine<double>(vectors<double>(), weights, gain, x, out);
  }
}

void QuasiNewtonMemory::grow(int capacity) {
  check(capacity >= capacity_, "QuasiNewtonMemory::grow", "capacity is ", capacity, ", it was ", capacity_);
  cross_ = widened(cross_, capacity_, known_, capacity);
  squares_ = widened(squares_, capacity_, known_, capacity);
  capacity_ = capacity;
}

void QuasiNewtonMemory::clear() {
  pairs_.clear();
  rank_ = 0;
  known_ = 0;
}

std::vector<double> QuasiNewtonMemory::half(int index, bool is_change) const {
  Pair& pair = *pairs_[index];
  const auto cut = [&](const auto* all) {
    const auto* const from = all + (is_change ? size_ : 0);
    return std::vector<double>(from, from + size_);
  };
  return precision_ == PairPrecision::single_precision ? cut(pair.floats.data()) : cut(pair.doubles.data());
}

std::vector<double> QuasiNewtonMemory::step(int index) const { return half(index, false); }
std::vector<double> QuasiNewtonMemory::change(int index) const { return half(index, true); }

void QuasiNewtonMemory::apply(StateView x, StateView out) const {
  const auto size = static_cast<std::size_t>(size_);
  apply(ConstVector(static_cast<const double*>(x.data), size), Vector(static_cast<double*>(out.data), size));
}

}  // namespace deq
