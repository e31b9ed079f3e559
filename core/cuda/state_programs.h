#pragma once

#include "core/cuda/sample_vectors.h"

// Solver operations with sums, as block programs (core/cuda/host_launcher.h) of one block a sample, or a cluster that
// acts as one: the same steps as HostStateOps.
// Scalars that an operation reads lie apart from those it writes. A null mask means all samples.

namespace deq::cuda {

DEQ_HOST_DEVICE inline bool is_finite(double x) { return x - x == 0.0; }
DEQ_HOST_DEVICE inline bool is_chosen(const std::uint8_t* mask, int sample) {
  return mask == nullptr || mask[sample] != 0;
}

/// Block k batch + b: dots[k, b] = x_k . y
template <class T>
struct DotsProgram {
  StateLayout layout;
  const std::uint8_t* mask = nullptr;
  TypedStack<T> x;
  const T* y = nullptr;
  double* dots = nullptr;

  template <class Block>
  DEQ_HOST_DEVICE void operator()(const Block& block) const {
    const Index index = block.index();
    const int sample = index % layout.batch;
    if (!is_chosen(mask, sample)) return;
    const double value = SampleVectors<T, Block>(layout, sample, block).dot(x.at(index / layout.batch), y);
    block.each_thread([&](int thread) {
      if (thread != 0) return;
      dots[index] = value;
    });
  }
};

/// ResidualRequest.
template <class T>
struct ResidualProgram {
  StateLayout layout;
  const std::uint8_t* mask = nullptr;
  const T* z = nullptr;
  const T* f = nullptr;
  T* r = nullptr;
  T* best = nullptr;
  bool is_relative = true;
  const double* best_before = nullptr;
  double* residual_norm = nullptr;
  double* objective = nullptr;
  double* best_objective = nullptr;
  std::uint8_t* improved = nullptr;

  template <class Block>
  DEQ_HOST_DEVICE void operator()(const Block& block) const {
    const int sample = block.index();
    if (!is_chosen(mask, sample)) return;
    const SampleVectors<T, Block> vectors(layout, sample, block);
    const Sums<2> sums = vectors.subtract(f, z, r);
    const double norm = std::sqrt(sums.at[0]);
    const double value = is_relative ? norm / (std::sqrt(sums.at[1]) + kRelativeFloor) : norm;
    // A finite |r| / inf would look like 0: |f| itself must be finite.
    const bool is_usable = is_finite(sums.at[1]) && is_finite(norm);
    const bool improves = is_usable && value < best_before[sample];
    block.each_thread([&](int thread) {
      if (thread != 0) return;
      residual_norm[sample] = norm;
      objective[sample] = is_usable ? value : HUGE_VAL;
      best_objective[sample] = improves ? value : best_before[sample];
      improved[sample] = improves ? 1 : 0;
    });
    if (improves && best != nullptr) vectors.copy(z, best);
  }
};

/// ProductStep. p is the slot of the step, or the residual beside steps that are stored in another type.
template <class T, class Stored>
struct ProductStepProgram {
  StateLayout layout;
  const std::uint8_t* mask = nullptr;
  TypedStack<Stored> steps;
  T* p = nullptr;
  int index = 0;
  const double* coefficient = nullptr;  ///< [index, batch]
  T* z = nullptr;
  const std::uint8_t* advance = nullptr;
  double breakdown = 0.0;
  double* last_coefficient = nullptr;  ///< [batch] c_{index-1}, out; not written when index is 0
  double* new_coefficient = nullptr;   ///< [batch] c_index, out
  std::uint8_t* broke = nullptr;       ///< [batch] out

  template <class Block>
  DEQ_HOST_DEVICE void operator()(const Block& block) const {
    const int sample = block.index();
    if (!is_chosen(mask, sample)) return;
    const SampleVectors<T, Block> vectors(layout, sample, block);
    double scale = 1.0;
    bool breaks = false;
    if (index > 0) {
      double along = vectors.dot(steps.at(0), p);
      for (int k = 1; k < index; ++k)
        along = vectors.add_scaled_dot(static_cast<T>(link(k - 1, sample) * along), steps.at(k), p);
      const double denominator = 1.0 - link(index - 1, sample) * along;
      breaks = !(std::abs(denominator) >= breakdown);
      if (!breaks) scale = 1.0 / denominator;
    }
    const double norm2 =
        vectors.scale_and_advance(static_cast<T>(scale), p, steps.at(index), is_chosen(advance, sample) ? z : nullptr);
    block.each_thread([&](int thread) {
      if (thread != 0) return;
      broke[sample] = breaks ? 1 : 0;
      if (index > 0) last_coefficient[sample] = breaks ? 0.0 : link(index - 1, sample);
      new_coefficient[sample] = norm2 > 0.0 && is_finite(norm2) ? 1.0 / norm2 : 0.0;
    });
  }

 private:
  [[nodiscard]] DEQ_HOST_DEVICE double link(int k, int sample) const { return coefficient[k * layout.batch + sample]; }
};

/// out = M x or M^T x for ProductFactors; out may be x.
template <class T, class Stored>
struct ApplyProductProgram {
  StateLayout layout;
  const std::uint8_t* mask = nullptr;
  TypedStack<Stored> steps;
  const double* coefficient = nullptr;  ///< [slots, batch]
  const int* rank = nullptr;
  bool is_transposed = false;
  const T* x = nullptr;
  T* out = nullptr;

  template <class Block>
  DEQ_HOST_DEVICE void operator()(const Block& block) const {
    const int sample = block.index();
    if (!is_chosen(mask, sample)) return;
    const SampleVectors<T, Block> vectors(layout, sample, block);
    vectors.copy(x, out);
    const int links = rank[sample];
    if (links == 0) return;
    // Step j meets the vector before link j is added; transposed, links and steps come in reverse.
    const auto step = [&](int j) { return steps.at(is_transposed ? links - j : j); };
    const auto factor = [&](int j) { return coefficient[(is_transposed ? links - 1 - j : j) * layout.batch + sample]; };
    double along = vectors.dot(step(0), out);
    for (int j = 1; j < links; ++j) along = vectors.add_scaled_dot(static_cast<T>(factor(j - 1) * along), step(j), out);
    vectors.add_scaled(static_cast<T>(factor(links - 1) * along), step(links), out);
  }
};

/// out = alpha x + sum_k left_k (right_k . x)
template <class T>
struct ApplyLowRankProgram {
  StateLayout layout;
  const std::uint8_t* mask = nullptr;
  T alpha = T(1);
  TypedStack<T> left;
  TypedStack<T> right;
  const int* rank = nullptr;
  const T* x = nullptr;
  T* out = nullptr;

  template <class Block>
  DEQ_HOST_DEVICE void operator()(const Block& block) const {
    const int sample = block.index();
    if (!is_chosen(mask, sample)) return;
    const SampleVectors<T, Block> vectors(layout, sample, block);
    vectors.scale(alpha, x, out);
    for (int k = 0; k < rank[sample]; ++k)
      vectors.add_scaled(static_cast<T>(vectors.dot(right.at(k), x)), left.at(k), out);
  }
};

}  // namespace deq::cuda
