#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace deq::cpu {

/// The two terms that one element adds to the sums of its channel.
struct ColumnTerms {
  float first = 0;
  float second = 0;
};

/// Two sums per channel over rows of channels, kept in double over runs of 64 rows that are summed in float: the error
/// stays that of 64 float additions however many rows there are.
///
/// Lives in memory of the caller, bytes_for(channels) bytes aligned to 8.
class ColumnSums {
 public:
  static std::int64_t bytes_for(std::int64_t channels) {
    return channels * static_cast<std::int64_t>(2 * sizeof(double) + 2 * sizeof(float));
  }

  ColumnSums(void* memory, std::int64_t channels)
      : channels_(channels),
        first_(static_cast<double*>(memory)),
        second_(first_ + channels),
        run_first_(reinterpret_cast<float*>(second_ + channels)),
        run_second_(run_first_ + channels) {}

  [[nodiscard]] const double* first() const { return first_; }
  [[nodiscard]] const double* second() const { return second_; }

  /// Sets the sums to those of terms(i, c) over rows [begin, end), i = row * channels + c.
  template <class Terms>
  void assign(std::int64_t begin, std::int64_t end, const Terms& terms) {
    std::fill(first_, first_ + 2 * channels_, 0.0);
    for (std::int64_t row = begin; row < end; row += kRun) {
      std::fill(run_first_, run_first_ + 2 * channels_, 0.0F);
      sum_run(row, std::min(end, row + kRun), terms);
      for (std::int64_t c = 0; c < 2 * channels_; ++c) first_[c] += static_cast<double>(run_first_[c]);
    }
  }

 private:
  static constexpr std::int64_t kRun = 64;

  /// Four rows at a time: the partial sums are then loaded and stored once for four elements.
  template <class Terms>
  void sum_run(std::int64_t begin, std::int64_t end, const Terms& terms) {
    const std::int64_t channels = channels_;
    float *first = run_first_, *second = run_second_;
    std::int64_t row = begin;
    for (; row + 4 <= end; row += 4) {
      const std::int64_t i = row * channels;
#pragma omp simd
      for (std::int64_t c = 0; c < channels; ++c) {
        const ColumnTerms a = terms(i + c, c), b = terms(i + channels + c, c);
        const ColumnTerms d = terms(i + 2 * channels + c, c), e = terms(i + 3 * channels + c, c);
        first[c] += (a.first + b.first) + (d.first + e.first);
        second[c] += (a.second + b.second) + (d.second + e.second);
      }
    }
    for (; row < end; ++row) {
      const std::int64_t i = row * channels;
#pragma omp simd
      for (std::int64_t c = 0; c < channels; ++c) {
        const ColumnTerms a = terms(i + c, c);
        first[c] += a.first;
        second[c] += a.second;
      }
    }
  }

  std::int64_t channels_;
  double *first_, *second_;
  float *run_first_, *run_second_;
};

}  // namespace deq::cpu
