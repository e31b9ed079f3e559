#include "solvers/bilevel/quasi_newton_memory.h"

#include <cmath>
#include <utility>

#include "core/error.h"
#include "solvers/bilevel/vector_ops.h"

namespace deq {
namespace {

constexpr double kLeastCurvature = 1e-14;  // of |s| |y|: below it the sign of s^T y is rounding

}  // namespace

QuasiNewtonMemory::QuasiNewtonMemory(std::int64_t size, int capacity, InitialInverse initial)
    : size_(size), capacity_(capacity), initial_(initial) {
  check(size >= 1, "QuasiNewtonMemory", "a vector has ", size, " entries; at least 1 is needed");
  check(capacity >= 1, "QuasiNewtonMemory", "capacity is ", capacity, "; at least 1 pair must be kept");
}

bool QuasiNewtonMemory::push(ConstVector s, ConstVector y) {
  const auto size = static_cast<std::size_t>(size_);
  check(s.size() == size && y.size() == size, "QuasiNewtonMemory::push", "the pair has ", s.size(), " and ", y.size(),
        " entries, expected ", size_);
  const double curvature = dot(s, y);
  const double change_squared = dot(y, y);
  const double floor = kLeastCurvature * norm(s) * std::sqrt(change_squared);
  // 1 / s^T y and s^T y / y^T y must be finite too; the negated comparison also refuses nan.
  if (!(curvature > floor) || !std::isfinite(change_squared) || !std::isfinite(1.0 / curvature)) {
    ++refused_;
    return false;
  }
  std::shared_ptr<Pair> pair;
  if (pairs() == capacity_) {
    pair = std::move(pairs_.front());
    pairs_.pop_front();
  }
  // Storage that a copy of this memory still reads is left to it.
  if (!pair || pair.use_count() > 1) {
    pair = std::make_shared<Pair>();
    pair->step.resize(size);
    pair->change.resize(size);
  }
  copy(s, pair->step);
  copy(y, pair->change);
  pair->curvature = curvature;
  pair->change_squared = change_squared;
  pairs_.push_back(std::move(pair));
  rank_ = 2 * pairs();
  return true;
}

void QuasiNewtonMemory::apply(ConstVector x, Vector out) const {
  check(x.size() == static_cast<std::size_t>(size_) && out.size() == x.size(), "QuasiNewtonMemory::apply",
        "the vectors have ", x.size(), " and ", out.size(), " entries, expected ", size_);
  copy(x, out);
  const int count = pairs();
  if (count == 0) return;
  // Each pass adds a multiple of one vector and takes the next product, so `out` is read once a pass.
  std::vector<double> weights(count);
  double along = dot(pairs_[count - 1]->step, out);
  for (int i = count - 1; i >= 0; --i) {
    weights[i] = along / pairs_[i]->curvature;
    along = add_scaled_dot(-weights[i], pairs_[i]->change, out, i > 0 ? pairs_[i - 1]->step : pairs_[0]->change);
  }
  if (initial_ == InitialInverse::scaled) {
    const double gain = pairs_.back()->curvature / pairs_.back()->change_squared;
    scale(gain, out);
    along *= gain;
  }
  for (int i = 0; i < count; ++i) {
    const double weight = weights[i] - along / pairs_[i]->curvature;
    if (i + 1 < count)
      along = add_scaled_dot(weight, pairs_[i]->step, out, pairs_[i + 1]->change);
    else
      add_scaled(weight, pairs_[i]->step, out);
  }
}

void QuasiNewtonMemory::grow(int capacity) {
  check(capacity >= capacity_, "QuasiNewtonMemory::grow", "capacity is ", capacity, ", it was ", capacity_);
  capacity_ = capacity;
}

void QuasiNewtonMemory::clear() {
  pairs_.clear();
  rank_ = 0;
}

void QuasiNewtonMemory::apply(StateView x, StateView out) const {
  const auto size = static_cast<std::size_t>(size_);
  apply(ConstVector(static_cast<const double*>(x.data), size), Vector(static_cast<double*>(out.data), size));
}

}  // namespace deq
