#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "core/fixed_point.h"
#include "solvers/bilevel/problem.h"

namespace deq {

/// The first matrix of the recursion: I (SHINE's choice, also when the estimate is shared) or (s^T y / y^T y) I with
/// the newest pair.
enum class InitialInverse : std::uint8_t { identity, scaled };

/// The inverse Hessian estimate of limited-memory BFGS: at most `capacity` pairs (s, y) with s^T y > 0, oldest dropped
/// first; the product is the two-loop recursion. Symmetric positive definite whatever is pushed. In terms of
/// core/fixed_point.h it is M for the map w -> w - grad r(w), whose I - df/dw is the Hessian.
/// Copies share the pairs they have in common.
///
/// Source: J. Nocedal, Math. Comp. 35 (1980); Z. Ramzi et al., SHINE, ICLR 2022.
class QuasiNewtonMemory final : public InverseEstimate {
 public:
  /// @param size      d >= 1
  /// @param capacity  pairs kept, >= 1
  /// @throws Error otherwise
  QuasiNewtonMemory(std::int64_t size, int capacity, InitialInverse initial = InitialInverse::identity);

  /// Takes the pair unless s^T y is not safely positive (at most 1e-14 |s| |y|, or not finite).
  /// @param s, y  [d]
  /// @returns whether it was taken
  bool push(ConstVector s, ConstVector y);
  /// out [d] = B^-1 x for x [d]; they must not overlap.
  void apply(ConstVector x, Vector out) const;
  /// Keeps room for `capacity` pairs from now on, at least as many as before.
  void grow(int capacity);
  void clear();

  [[nodiscard]] std::int64_t size() const { return size_; }
  [[nodiscard]] int capacity() const { return capacity_; }
  [[nodiscard]] int pairs() const { return static_cast<int>(pairs_.size()); }
  /// Pairs refused since construction.
  [[nodiscard]] std::int64_t refused() const { return refused_; }
  /// Pair `index`, 0 the oldest; [d].
  [[nodiscard]] ConstVector step(int index) const { return pairs_[index]->step; }
  [[nodiscard]] ConstVector change(int index) const { return pairs_[index]->change; }

  // One sample of one block of d doubles.
  void apply(StateView x, StateView out) const override;
  void apply_transpose(StateView x, StateView out) const override { apply(x, out); }
  [[nodiscard]] std::span<const int> rank() const override { return {&rank_, 1}; }

 private:
  struct Pair {
    std::vector<double> step, change;  ///< s and y
    double curvature = 0.0;            ///< s^T y
    double change_squared = 0.0;       ///< y^T y
  };
  std::int64_t size_;
  int capacity_;
  InitialInverse initial_;
  std::deque<std::shared_ptr<Pair>> pairs_;
  int rank_ = 0;  ///< twice the number of pairs: each is a change of rank two
  std::int64_t refused_ = 0;
};

}  // namespace deq
