#include "core/cpu/host_state_ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/cpu/state_kernels.h"

namespace deq {
namespace {

/// Rows of one sample in states of one layout: visits each block's row.
template <class T>
class Rows {
 public:
  Rows(const StateSpec& spec, int sample) : spec_(&spec), sample_(sample) {}

  /// visit(offset in elements from the start of a state, length of the row).
  template <class Visit>
  void each(const Visit& visit) const {
    std::int64_t block_start = 0;
    for (const std::int64_t elems : spec_->block_elems) {
      visit(block_start + sample_ * elems, elems);
      block_start += spec_->batch * elems;
    }
  }
  [[nodiscard]] double dot(const T* x, const T* y) const {
    double sum = 0.0;
    each([&](std::int64_t at, std::int64_t n) { sum += deq::dot(x + at, y + at, n); });
    return sum;
  }
  double add_scaled_dot(double a, const T* x, T* y) const {
    double sum = 0.0;
    each([&](std::int64_t at, std::int64_t n) { sum += deq::add_scaled_dot(a, x + at, y + at, n); });
    return sum;
  }
  void scale_add(double b, T* y, double a, const T* x) const {
    each([&](std::int64_t at, std::int64_t n) { deq::scale_add(b, y + at, a, x + at, n); });
  }
  void copy(const T* from, T* to) const {
    if (from == to) return;
    each([&](std::int64_t at, std::int64_t n) { std::copy_n(from + at, n, to + at); });
  }

 private:
  const StateSpec* spec_;
  std::int64_t sample_;
};

template <class T>
T* as(StateView state) {
  return static_cast<T*>(state.data);
}

/// Calls body(sample, rows) for the samples of the mask, one thread per sample.
template <class T, class Body>
void each_sample(const StateSpec& spec, SampleMask samples, const Body& body) {
#pragma omp parallel for schedule(dynamic, 1)
  for (int b = 0; b < spec.batch; ++b)
    if (samples.empty() || samples[b] != 0) body(b, Rows<T>(spec, b));
}

/// Runs `body` with the element type of the state: body(float{}) or body(double{}).
template <class Body>
void with_type(const StateSpec& spec, const Body& body) {
  if (spec.dtype == DType::f64)
    body(double{});
  else
    body(float{});
}

template <class T>
void residual_of_sample(const ResidualRequest& request, int b, const Rows<T>& rows) {
  ResidualSums sums;
  rows.each([&](std::int64_t at, std::int64_t n) {
    T* const r = request.r.data == nullptr ? nullptr : as<T>(request.r) + at;
    const ResidualSums part = subtract(as<T>(request.f) + at, as<T>(request.z) + at, r, n);
    sums.residual += part.residual;
    sums.value += part.value;
  });
  const double norm = std::sqrt(sums.residual);
  const double objective = request.is_relative ? norm / (std::sqrt(sums.value) + kRelativeFloor) : norm;
  // A finite |r| / inf would look like 0: the value itself must be finite.
  const bool is_finite = std::isfinite(sums.value) && std::isfinite(norm);
  const bool improves = is_finite && objective < request.best_objective[b];
  request.residual_norm[b] = norm;
  request.objective[b] = is_finite ? objective : HUGE_VAL;
  request.improved[b] = improves ? 1 : 0;
  if (!improves) return;
  request.best_objective[b] = objective;
  if (request.best.data != nullptr) rows.copy(as<T>(request.z), as<T>(request.best));
}

template <class T>
void product_step_of_sample(const StateSpec& spec, const ProductStep& step, int b, const Rows<T>& rows) {
  const auto slot = [&](int k) { return as<T>(step.steps.at(k)); };
  const auto coefficient = [&](int k) -> double& { return step.coefficient[k * spec.batch + b]; };
  T* const p = slot(step.index);
  double scale = 1.0;
  if (step.index > 0) {
    double along = rows.dot(slot(0), p);
    for (int k = 1; k < step.index; ++k) along = rows.add_scaled_dot(coefficient(k - 1) * along, slot(k), p);
    const double denominator = 1.0 - coefficient(step.index - 1) * along;
    const bool breaks = !(std::abs(denominator) >= step.breakdown);
    if (breaks)
      coefficient(step.index - 1) = 0.0;
    else
      scale = 1.0 / denominator;
    step.broke[b] = breaks ? 1 : 0;
  } else {
    step.broke[b] = 0;
  }
  const bool advances = step.advance.empty() || step.advance[b] != 0;
  double norm2 = 0.0;
  rows.each([&](std::int64_t at, std::int64_t n) {
    norm2 += scale_and_advance(scale, p + at, advances ? as<T>(step.z) + at : nullptr, n);
  });
  coefficient(step.index) = norm2 > 0.0 && std::isfinite(norm2) ? 1.0 / norm2 : 0.0;
}

/// x runs through the links in order; every stored step is read once, with the sum for the next link.
template <class T>
void apply_chain(const StateSpec& spec, const ProductFactors& factors, Transposition transposition, int b,
                 const Rows<T>& rows, T* x) {
  const int rank = factors.rank[b];
  if (rank == 0) return;
  const auto slot = [&](int k) { return as<T>(factors.steps.at(k)); };
  const auto coefficient = [&](int k) { return factors.coefficient[k * spec.batch + b]; };
  switch (transposition) {
    case Transposition::none: {
      double along = rows.dot(slot(0), x);
      for (int k = 1; k < rank; ++k) along = rows.add_scaled_dot(coefficient(k - 1) * along, slot(k), x);
      rows.scale_add(1.0, x, coefficient(rank - 1) * along, slot(rank));
      return;
    }
    case Transposition::transposed: {
      double along = rows.dot(slot(rank), x);
      for (int k = rank - 1; k > 0; --k) along = rows.add_scaled_dot(coefficient(k) * along, slot(k), x);
      rows.scale_add(1.0, x, coefficient(0) * along, slot(0));
      return;
    }
  }
}

}  // namespace

void HostStateOps::copy(const StateSpec& spec, StateView from, StateView to, SampleMask samples) {
  with_type(spec, [&]<class T>(T) {
    each_sample<T>(spec, samples, [&](int, const Rows<T>& rows) { rows.copy(as<T>(from), as<T>(to)); });
  });
}

void HostStateOps::fill(const StateSpec& spec, StateView out, double value, SampleMask samples) {
  with_type(spec, [&]<class T>(T) {
    each_sample<T>(spec, samples, [&](int, const Rows<T>& rows) {
      rows.each([&](std::int64_t at, std::int64_t n) { std::fill_n(as<T>(out) + at, n, static_cast<T>(value)); });
    });
  });
}

void HostStateOps::combine(const StateSpec& spec, double scale, std::span<const double> coefficient, StateStack x,
                           int count, StateView out, SampleMask samples) {
  constexpr std::int64_t kChunk = 1024;  // the partial sum stays in the first-level cache
  with_type(spec, [&]<class T>(T) {
    each_sample<T>(spec, samples, [&](int b, const Rows<T>& rows) {
      rows.each([&](std::int64_t at, std::int64_t n) {
        T sum[kChunk];
        for (std::int64_t i = 0; i < n; i += kChunk) {
          const std::int64_t length = std::min(kChunk, n - i);
          T* const target = as<T>(out) + at + i;
          if (scale == 0.0)
            std::fill_n(sum, length, T{0});
          else
            scale_add(0.0, sum, scale, target, length);
          for (int k = 0; k < count; ++k) {
            const double factor = coefficient[k * spec.batch + b];
            if (factor != 0.0) scale_add(1.0, sum, factor, as<T>(x.at(k)) + at + i, length);
          }
          std::copy_n(sum, length, target);
        }
      });
    });
  });
}

void HostStateOps::recombine(const StateSpec& spec, StateStack x, int count, int kept,
                             std::span<const double> coefficient, SampleMask samples) {
  constexpr std::int64_t kChunk = 128;  // kMostRecombined chunks stay in the second-level cache
  with_type(spec, [&]<class T>(T) {
    each_sample<T>(spec, samples, [&](int b, const Rows<T>& rows) {
      rows.each([&](std::int64_t at, std::int64_t n) {
        T before[kMostRecombined][kChunk];
        for (std::int64_t i = 0; i < n; i += kChunk) {
          const std::int64_t length = std::min(kChunk, n - i);
          for (int k = 0; k < count; ++k) std::copy_n(as<T>(x.at(k)) + at + i, length, before[k]);
          for (int j = 0; j < kept; ++j) {
            T* const target = as<T>(x.at(j)) + at + i;
            for (int k = 0; k < count; ++k)
              scale_add(k == 0 ? 0.0 : 1.0, target, coefficient[(j * count + k) * spec.batch + b], before[k], length);
          }
        }
      });
    });
  });
}

void HostStateOps::dots(const StateSpec& spec, StateStack x, int count, StateView y, std::span<double> dots,
                        SampleMask samples) {
  with_type(spec, [&]<class T>(T) {
    each_sample<T>(spec, samples, [&](int b, const Rows<T>& rows) {
      for (int k = 0; k < count; ++k) dots[k * spec.batch + b] = rows.dot(as<T>(x.at(k)), as<T>(y));
    });
  });
}

void HostStateOps::copy_rows(const void* from, std::span<const int> from_rows, void* to, std::span<const int> to_rows,
                             std::size_t row_bytes) {
  const auto* source = static_cast<const std::byte*>(from);
  auto* target = static_cast<std::byte*>(to);
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < from_rows.size(); ++i)
    std::memcpy(target + static_cast<std::size_t>(to_rows[i]) * row_bytes,
                source + static_cast<std::size_t>(from_rows[i]) * row_bytes, row_bytes);
}

void HostStateOps::residual(const StateSpec& spec, const ResidualRequest& request, SampleMask samples) {
  with_type(spec, [&]<class T>(T) {
    each_sample<T>(spec, samples, [&](int b, const Rows<T>& rows) { residual_of_sample<T>(request, b, rows); });
  });
}

void HostStateOps::product_step(const StateSpec& spec, const ProductStep& step, SampleMask samples) {
  with_type(spec, [&]<class T>(T) {
    each_sample<T>(spec, samples, [&](int b, const Rows<T>& rows) { product_step_of_sample<T>(spec, step, b, rows); });
  });
}

void HostStateOps::apply_product(const StateSpec& spec, const ProductFactors& factors, Transposition transposition,
                                 StateView x, StateView out, SampleMask samples) {
  with_type(spec, [&]<class T>(T) {
    each_sample<T>(spec, samples, [&](int b, const Rows<T>& rows) {
      rows.copy(as<T>(x), as<T>(out));
      apply_chain<T>(spec, factors, transposition, b, rows, as<T>(out));
    });
  });
}

void HostStateOps::apply_low_rank(const StateSpec& spec, const LowRankFactors& factors, Transposition transposition,
                                  StateView x, StateView out, SampleMask samples) {
  const bool is_transposed = transposition == Transposition::transposed;
  const StateStack left = is_transposed ? factors.v : factors.u;
  const StateStack right = is_transposed ? factors.u : factors.v;
  with_type(spec, [&]<class T>(T) {
    each_sample<T>(spec, samples, [&](int b, const Rows<T>& rows) {
      rows.scale_add(0.0, as<T>(out), factors.alpha, as<T>(x));
      for (int k = 0; k < factors.rank[b]; ++k)
        rows.scale_add(1.0, as<T>(out), rows.dot(as<T>(right.at(k)), as<T>(x)), as<T>(left.at(k)));
    });
  });
}

}  // namespace deq
