#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "core/cpu/parallel.h"
#include "core/cpu/state_kernels.h"
#include "core/state_ops.h"

namespace deq::host {

/// Rows of one sample in states of one layout: visits each block's row.
template <class T>
class Rows {
 public:
  Rows(const StateSpec& spec, int sample) : spec_(&spec), row_(spec.first + sample) {}

  /// visit(offset in elements from the start of a state, length of the row).
  template <class Visit>
  void each(const Visit& visit) const {
    std::int64_t block_start = 0;
    for (const std::int64_t elems : spec_->block_elems) {
      visit(block_start + row_ * elems, elems);
      block_start += spec_->layout_batch() * elems;
    }
  }
  template <class S>
  [[nodiscard]] double dot(const S* x, const T* y) const {
    double sum = 0.0;
    each([&](std::int64_t at, std::int64_t n) { sum += deq::dot(x + at, y + at, n); });
    return sum;
  }
  /// y += a x; returns (new y) . x.
  template <class S>
  double add_scaled_dot(double a, const S* x, T* y) const {
    double sum = 0.0;
    each([&](std::int64_t at, std::int64_t n) { sum += deq::add_scaled_dot(a, x + at, y + at, n); });
    return sum;
  }
  /// y = b y + a x.
  template <class S>
  void scale_add(double b, T* y, double a, const S* x) const {
    each([&](std::int64_t at, std::int64_t n) { deq::scale_add(b, y + at, a, x + at, n); });
  }
  void copy(const T* from, T* to) const {
    if (from == to) return;
    each([&](std::int64_t at, std::int64_t n) { std::copy_n(from + at, n, to + at); });
  }

 private:
  const StateSpec* spec_;
  std::int64_t row_;
};

template <class T>
T* as(StateView state) {
  return static_cast<T*>(state.data);
}

/// Of the ranks of all samples.
inline std::int64_t largest_rank(std::span<const int> ranks) { return ranks.empty() ? 0 : std::ranges::max(ranks); }

/// Calls body(sample, rows) for the samples of the mask, one thread per sample, or all on the caller's where they are
/// too little work for threads.
/// @param vectors  how many of its rows the work on a sample passes over
template <class T, class Body>
void each_sample(const StateSpec& spec, SampleMask samples, std::int64_t vectors, const Body& body) {
  const auto visit = [&](int b) {
    if (samples.empty() || samples[b] != 0) body(b, Rows<T>(spec, b));
  };
  const auto count = samples.empty() ? std::int64_t{spec.batch} : spec.batch - std::ranges::count(samples, 0);
  if (count <= 1 || !cpu::is_worth_threads(count * spec.sample_elems() * vectors)) {
    for (int b = 0; b < spec.batch; ++b) visit(b);
    return;
  }
#pragma omp parallel for schedule(dynamic, 1)
  for (int b = 0; b < spec.batch; ++b) visit(b);
}

/// Runs `body` with the element type of the state: body(float{}) or body(double{}).
template <class Body>
void with_type(const StateSpec& spec, const Body& body) {
  if (spec.dtype == DType::f64)
    body(double{});
  else
    body(float{});
}

}  // namespace deq::host
