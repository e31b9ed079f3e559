#include "core/cpu/host_state_ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/cpu/host_rows.h"

namespace deq {

using host::as;
using host::each_sample;
using host::largest_rank;
using host::Rows;
using host::with_type;

namespace {

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
  if (request.best.data == nullptr) return;
  // Read again when the solve ends, with a whole history between: no cache need take it.
  rows.each([&](std::int64_t at, std::int64_t n) {
    stream_copy(as<T>(request.z) + at, as<T>(request.best) + at, n * static_cast<std::int64_t>(sizeof(T)));
  });
}

}  // namespace

void HostStateOps::copy(const StateSpec& spec, StateView from, StateView to, SampleMask samples) {
  with_type(spec, [&]<class T>(T) {
    each_sample<T>(spec, samples, 2, [&](int, const Rows<T>& rows) { rows.copy(as<T>(from), as<T>(to)); });
  });
}

void HostStateOps::fill(const StateSpec& spec, StateView out, double value, SampleMask samples) {
  with_type(spec, [&]<class T>(T) {
    each_sample<T>(spec, samples, 1, [&](int, const Rows<T>& rows) {
      rows.each([&](std::int64_t at, std::int64_t n) { std::fill_n(as<T>(out) + at, n, static_cast<T>(value)); });
    });
  });
}

void HostStateOps::combine(const StateSpec& spec, double scale, std::span<const double> coefficient, StateStack x,
                           int count, StateView out, SampleMask samples) {
  constexpr std::int64_t kChunk = 1024;  // the partial sum stays in the first-level cache
  with_type(spec, [&]<class T>(T) {
    each_sample<T>(spec, samples, count + 1, [&](int b, const Rows<T>& rows) {
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
    each_sample<T>(spec, samples, std::int64_t{count} * kept, [&](int b, const Rows<T>& rows) {
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
    each_sample<T>(spec, samples, count, [&](int b, const Rows<T>& rows) {
      for (int k = 0; k < count; ++k) dots[k * spec.batch + b] = rows.dot(as<T>(x.at(k)), as<T>(y));
    });
  });
}

void HostStateOps::copy_rows(const void* from, std::span<const int> from_rows, void* to, std::span<const int> to_rows,
                             std::size_t row_bytes) {
  const auto* source = static_cast<const std::byte*>(from);
  auto* target = static_cast<std::byte*>(to);
  const auto count = static_cast<std::int64_t>(from_rows.size());
  cpu::parallel_for(count, count * static_cast<std::int64_t>(row_bytes / sizeof(float)), [&](std::int64_t i) {
    std::memcpy(target + static_cast<std::size_t>(to_rows[i]) * row_bytes,
                source + static_cast<std::size_t>(from_rows[i]) * row_bytes, row_bytes);
  });
}

void HostStateOps::residual(const StateSpec& spec, const ResidualRequest& request, SampleMask samples) {
  with_type(spec, [&]<class T>(T) {
    each_sample<T>(spec, samples, 4, [&](int b, const Rows<T>& rows) { residual_of_sample<T>(request, b, rows); });
  });
}

void HostStateOps::apply_low_rank(const StateSpec& spec, const LowRankFactors& factors, Transposition transposition,
                                  StateView x, StateView out, SampleMask samples) {
  const bool is_transposed = transposition == Transposition::transposed;
  const StateStack left = is_transposed ? factors.v : factors.u;
  const StateStack right = is_transposed ? factors.u : factors.v;
  with_type(spec, [&]<class T>(T) {
    each_sample<T>(spec, samples, 2 * largest_rank(factors.rank) + 1, [&](int b, const Rows<T>& rows) {
      rows.scale_add(0.0, as<T>(out), factors.alpha, as<T>(x));
      for (int k = 0; k < factors.rank[b]; ++k)
        rows.scale_add(1.0, as<T>(out), rows.dot(as<T>(right.at(k)), as<T>(x)), as<T>(left.at(k)));
    });
  });
}

}  // namespace deq
