#pragma once

#include <algorithm>
#include <cstdint>

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

/// Calls body(sample, rows) for the samples of the mask, one thread per sample; a single one is the caller's.
template <class T, class Body>
void each_sample(const StateSpec& spec, SampleMask samples, const Body& body) {
  const auto visit = [&](int b) {
    if (samples.empty() || samples[b] != 0) body(b, Rows<T>(spec, b));
  };
  if (spec.batch == 1) return visit(0);
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
