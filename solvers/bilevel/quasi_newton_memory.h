#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/fixed_point.h"
#include "solvers/bilevel/problem.h"

namespace deq {

/// The first matrix of the recursion: I (SHINE's choice, also when the estimate is shared) or (s^T y / y^T y) I with
/// the newest pair.
enum class InitialInverse : std::uint8_t { identity, scaled };

/// How pairs are kept. In single precision they take half the memory, and so half the time of a product with long
/// vectors; the estimate is then exactly that of the rounded pairs (every sum is in double), hence as symmetric and
/// positive definite, and meets the secant condition to 1e-7 instead of 1e-15.
enum class PairPrecision : std::uint8_t { double_precision, single_precision };

/// The inverse Hessian estimate of limited-memory BFGS: at most `capacity` pairs (s, y) with s^T y > 0, oldest dropped
/// first. Symmetric positive definite whatever is pushed. In terms of core/fixed_point.h it is M for the map
/// w -> w - grad r(w), whose I - df/dw is the Hessian.
///
/// The product is the two-loop recursion, run on the inner products of the pairs: one pass over them for their products
/// with x (and with the pairs that are new since the last product), a recursion on numbers, and one pass for the sum.
/// Copies share the pairs they have in common. One thread at a time may use an object, products included.
///
/// Source: J. Nocedal, Math. Comp. 35 (1980); W. Chen, Z. Wang, J. Zhou, Large-scale L-BFGS using MapReduce, NIPS 2014
/// (the recursion on inner products); Z. Ramzi et al., SHINE, ICLR 2022.
class QuasiNewtonMemory final : public InverseEstimate {
 public:
  /// @param size      d >= 1
  /// @param capacity  pairs kept, >= 1
  /// @throws Error otherwise
  QuasiNewtonMemory(std::int64_t size, int capacity, InitialInverse initial = InitialInverse::identity,
                    PairPrecision precision = PairPrecision::double_precision);

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
  /// Pair `index`, 0 the oldest, as it is kept; [d].
  [[nodiscard]] std::vector<double> step(int index) const;
  [[nodiscard]] std::vector<double> change(int index) const;

  // One sample of one block of d doubles.
  void apply(StateView x, StateView out) const override;
  void apply_transpose(StateView x, StateView out) const override { apply(x, out); }
  [[nodiscard]] std::span<const int> rank() const override { return {&rank_, 1}; }

 private:
  /// s and y, one after the other, in the vector of the precision.
  struct Pair {
    std::vector<double> doubles;
    std::vector<float> floats;
    double curvature = 0.0;       ///< s^T y
    double change_squared = 0.0;  ///< y^T y
  };
  template <class Scalar>
  static Scalar* numbers(Pair& pair);
  template <class Scalar>
  [[nodiscard]] std::vector<const Scalar*> vectors() const;
  /// Inner products of x with every s and y, [2 pairs]; brings cross_ and squares_ up to date on the way.
  [[nodiscard]] std::vector<double> products(ConstVector x) const;
  template <class Scalar>
  [[nodiscard]] std::vector<double> products_of(ConstVector x) const;
  [[nodiscard]] std::vector<double> coefficients(ConstVector along, double gain) const;
  [[nodiscard]] std::shared_ptr<Pair> make_pair() const;
  void drop_oldest();
  [[nodiscard]] std::vector<double> half(int index, bool is_change) const;

  std::int64_t size_;
  int capacity_;
  InitialInverse initial_;
  PairPrecision precision_;
  std::vector<std::shared_ptr<Pair>> pairs_;  ///< oldest first
  std::shared_ptr<Pair> spare_;               ///< storage that the next pair takes
  int rank_ = 0;                              ///< twice the number of pairs: each is a change of rank two
  std::int64_t refused_ = 0;
  // [capacity, capacity], valid for pairs before known_: s_i^T y_j at (i, j) with i <= j, and y_i^T y_j.
  mutable std::vector<double> cross_, squares_;
  mutable int known_ = 0;
};

}  // namespace deq
