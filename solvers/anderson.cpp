#include "solvers/anderson.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "solvers/cholesky.h"

namespace deq {
namespace {

constexpr int kMostMemory = 64;
// Parallel residuals make the Gram matrix singular although the mixture is well defined; this much always goes in.
constexpr double kLeastRelativeRidge = 1e-12;

}  // namespace

AndersonEstimate::AndersonEstimate(const StateSpec& spec, StateOps& ops, int memory, double mixing)
    : spec_(spec), ops_(&ops), memory_(memory), mixing_(mixing) {
  require(memory >= 1 && memory <= kMostMemory, "anderson", "memory is ", memory, " but must be 1 to ", kMostMemory);
  require(mixing > 0.0 && mixing <= 2.0, "anderson", "mixing is ", mixing, " but must be in (0, 2]");
  const auto batch = static_cast<std::size_t>(spec.batch);
  const auto slots = static_cast<std::size_t>(memory);
  recorded_.assign(batch, -1);
  last_used_.assign(batch, -1);
  rank_.assign(batch, 0);
  mixing_each_.assign(batch, mixing);
  gram_.assign(slots * slots * batch, 0.0);
  weights_.assign(slots * batch, 0.0);
  dots_ = mixed_ = weights_;
  matrix_.assign(slots * slots, 0.0);
  right_.assign(slots, 0.0);
}

void AndersonEstimate::layout(Slab& slab) {
  z_ = slab.take(spec_, memory_);
  r_ = slab.take(spec_, memory_);
}

void AndersonEstimate::restart() {
  columns_ = 0;
  std::fill(recorded_.begin(), recorded_.end(), -1);
  std::fill(last_used_.begin(), last_used_.end(), -1);
  std::fill(rank_.begin(), rank_.end(), 0);
}

AndersonEstimate::Window AndersonEstimate::window(int sample) const {
  const auto b = static_cast<std::size_t>(sample);
  return {std::max(0, recorded_[b] - memory_ + 1), last_used_[b]};
}

std::size_t AndersonEstimate::column(int step, int sample) const {
  return static_cast<std::size_t>((step % memory_) * spec_.batch + sample);
}

double AndersonEstimate::gram(int sample, int step_i, int step_j) const {
  return gram_[static_cast<std::size_t>(step_i % memory_ * memory_) * static_cast<std::size_t>(spec_.batch) +
               column(step_j, sample)];
}

double AndersonEstimate::difference_gram(int sample, int i, int j) const {
  return gram(sample, i + 1, j + 1) - gram(sample, i + 1, j) - gram(sample, i, j + 1) + gram(sample, i, j);
}

void AndersonEstimate::record(int step, StateView z, SampleMask samples) {
  columns_ = std::min(step + 1, memory_);
  const int slot = step % memory_;
  ops_->copy(spec_, z, z_.at(slot), samples);
  ops_->dots(spec_, r_, columns_, r_.at(slot), dots_, samples);
  const auto batch = static_cast<std::size_t>(spec_.batch);
  for (std::size_t b = 0; b < batch; ++b) {
    if (samples[b] == 0) continue;
    for (int k = 0; k < columns_; ++k) {
      const double product = dots_[static_cast<std::size_t>(k) * batch + b];
      gram_[static_cast<std::size_t>(slot * memory_ + k) * batch + b] = product;
      gram_[static_cast<std::size_t>(k * memory_ + slot) * batch + b] = product;
    }
    recorded_[b] = step;
    truncate(static_cast<int>(b), step);
  }
}

void AndersonEstimate::truncate(int sample, int step) {
  const auto b = static_cast<std::size_t>(sample);
  last_used_[b] = std::min(step, recorded_[b]);
  const Window used = window(sample);
  rank_[b] = std::max(0, used.last - used.first);
}

bool AndersonEstimate::solve_weights(int sample, Window used, const Ridge& ridge) {
  const auto n = static_cast<std::size_t>(used.last - used.first + 1);
  if (n == 1) {
    weights_[column(used.last, sample)] = 1.0;
    return true;
  }
  double largest = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    const int step_i = used.first + static_cast<int>(i);
    for (std::size_t j = 0; j <= i; ++j) matrix_[i * n + j] = gram(sample, step_i, used.first + static_cast<int>(j));
    largest = std::max(largest, matrix_[i * n + i]);
    right_[i] = 1.0;
  }
  const double added = ridge.is_relative ? std::max(ridge.value, kLeastRelativeRidge) * largest : ridge.value;
  for (std::size_t i = 0; i < n; ++i) matrix_[i * n + i] += added;
  if (!solve_cholesky({matrix_.data(), n * n}, {right_.data(), n})) return false;
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) sum += right_[i];
  if (!(sum > 0.0) || !std::isfinite(sum)) return false;
  for (std::size_t i = 0; i < n; ++i) weights_[column(used.first + static_cast<int>(i), sample)] = right_[i] / sum;
  return true;
}

int AndersonEstimate::mix(const Ridge& ridge, StateView z, SampleMask learning, SampleMask advancing) {
  int shortened = 0;
  for (int b = 0; b < spec_.batch; ++b) {
    if (learning[static_cast<std::size_t>(b)] == 0) continue;
    for (int k = 0; k < columns_; ++k) weights_[column(k, b)] = 0.0;
    Window used = window(b);
    const int oldest = used.first;
    while (!solve_weights(b, used, ridge)) ++used.first;
    if (used.first != oldest) ++shortened;
    for (int k = 0; k < columns_; ++k) mixed_[column(k, b)] = mixing_ * weights_[column(k, b)];
  }
  ops_->combine(spec_, 0.0, weights_, z_, columns_, z, advancing);
  ops_->combine(spec_, 1.0, mixed_, r_, columns_, z, advancing);
  return shortened;
}

bool AndersonEstimate::solve_differences(int sample, Window used) const {
  const auto n = static_cast<std::size_t>(used.last - used.first);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j <= i; ++j)
      matrix_[i * n + j] = difference_gram(sample, used.first + static_cast<int>(i), used.first + static_cast<int>(j));
  return solve_cholesky({matrix_.data(), n * n}, {right_.data(), n});
}

void AndersonEstimate::project(std::vector<double>& right) const {
  for (int b = 0; b < spec_.batch; ++b) {
    Window used = window(b);
    // Oldest differences go first when the Gram matrix is singular; with none left M = mixing I.
    for (; used.first < used.last; ++used.first) {
      for (int step = used.first; step < used.last; ++step)
        right_[static_cast<std::size_t>(step - used.first)] = right[column(step + 1, b)] - right[column(step, b)];
      if (solve_differences(b, used)) break;
    }
    for (int k = 0; k < columns_; ++k) right[column(k, b)] = 0.0;
    for (int step = used.first; step < used.last; ++step) {
      const double gamma = right_[static_cast<std::size_t>(step - used.first)];
      right[column(step + 1, b)] += gamma;
      right[column(step, b)] -= gamma;
    }
  }
}

void AndersonEstimate::apply(StateView x, StateView out) const {
  ops_->combine(spec_, 0.0, mixing_each_, single(x), 1, out, {});
  ops_->dots(spec_, r_, columns_, x, dots_, {});
  project(dots_);
  for (double& value : dots_) value = -value;
  ops_->combine(spec_, 1.0, dots_, z_, columns_, out, {});
  for (double& value : dots_) value *= mixing_;
  ops_->combine(spec_, 1.0, dots_, r_, columns_, out, {});
}

void AndersonEstimate::apply_transpose(StateView x, StateView out) const {
  ops_->combine(spec_, 0.0, mixing_each_, single(x), 1, out, {});
  ops_->dots(spec_, z_, columns_, x, dots_, {});
  ops_->dots(spec_, r_, columns_, x, mixed_, {});
  for (std::size_t i = 0; i < dots_.size(); ++i) dots_[i] += mixing_ * mixed_[i];
  project(dots_);
  for (double& value : dots_) value = -value;
  ops_->combine(spec_, 1.0, dots_, r_, columns_, out, {});
}

AndersonMethod::AndersonMethod(const StateSpec& spec, StateOps& ops, const Anderson& options)
    : ridge_(options.ridge), estimate_(spec, ops, options.memory, options.mixing) {
  require(ridge_.value >= 0.0, "anderson", "ridge is ", ridge_.value, " but must not be negative");
}

int AndersonMethod::advance(const Iterate& iterate) {
  estimate_.record(iterate.step, iterate.z, iterate.learning);
  return estimate_.mix(ridge_, iterate.z, iterate.learning, iterate.advancing);
}

}  // namespace deq
