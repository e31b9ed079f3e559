#pragma once

#include <cstdint>
#include <vector>

#include "solvers/bilevel/problem.h"

namespace deq::test {

using Numbers = std::vector<double>;

/// N(0, 1) numbers that depend on `seed` alone.
Numbers normals(std::int64_t count, std::uint64_t seed);

/// Dense rows [rows, columns], row-major.
struct Rows {
  Numbers x;
  Numbers y;  ///< labels, -1 or 1
  int columns = 0;
  [[nodiscard]] int count() const { return static_cast<int>(y.size()); }
  [[nodiscard]] ConstVector row(int i) const {
    return {x.data() + static_cast<std::ptrdiff_t>(i) * columns, static_cast<std::size_t>(columns)};
  }
};

/// N(0, 1) rows whose column j is scaled by 10^(-decay j), labelled by a random plane with noise.
Rows random_rows(int count, int columns, double decay, std::uint64_t seed, std::uint64_t plane_seed,
                 double noise = 0.5);

enum class Loss : std::uint8_t {
  logistic,  ///< log(1 + exp(-y m)) of the margin m = x^T w
  squared,   ///< (y - sigmoid(m))^2 / 2: not convex
};

/// sum or mean of the loss over `train` + e^lambda |w|^2 / 2 (one penalty, or one a feature); F is the loss over
/// `validation` without penalty. Written plainly, as an oracle and on one thread.
class DenseProblem final : public BilevelProblem {
 public:
  DenseProblem(Rows train, Rows validation, Loss loss, bool is_mean, bool is_per_feature = false)
      : train_(std::move(train)),
        validation_(std::move(validation)),
        loss_(loss),
        is_mean_(is_mean),
        is_per_feature_(is_per_feature) {}
  [[nodiscard]] std::int64_t inner_size() const override { return train_.columns; }
  [[nodiscard]] std::int64_t outer_size() const override { return is_per_feature_ ? train_.columns : 1; }
  double inner(ConstVector w, ConstVector lambda, Vector gradient) override;
  void hessian_product(ConstVector w, ConstVector lambda, ConstVector v, Vector out) override;
  void cross_product(ConstVector w, ConstVector lambda, ConstVector q, Vector out) override;
  double outer(ConstVector w, ConstVector lambda, Vector gradient_w, Vector gradient_lambda) override;
  bool known_diagonal(ConstVector lambda, Vector out) override;

 private:
  [[nodiscard]] double penalty(ConstVector lambda, std::size_t i) const;
  double loss(const Rows& rows, ConstVector w, Vector gradient) const;

  Rows train_, validation_;
  Loss loss_;
  bool is_mean_, is_per_feature_;
};

/// r = w^T A w / 2 - (b + C lambda)^T w with A [d, d] symmetric, C [d, p]; F = |w - target|^2 / 2. Everything is known
/// in closed form.
class QuadraticProblem final : public BilevelProblem {
 public:
  QuadraticProblem(Numbers a, Numbers b, Numbers c, Numbers target)
      : a_(std::move(a)), b_(std::move(b)), c_(std::move(c)), target_(std::move(target)) {}
  [[nodiscard]] std::int64_t inner_size() const override { return static_cast<std::int64_t>(b_.size()); }
  [[nodiscard]] std::int64_t outer_size() const override { return static_cast<std::int64_t>(c_.size() / b_.size()); }
  double inner(ConstVector w, ConstVector lambda, Vector gradient) override;
  void hessian_product(ConstVector w, ConstVector lambda, ConstVector v, Vector out) override;
  void cross_product(ConstVector w, ConstVector lambda, ConstVector q, Vector out) override;
  double outer(ConstVector w, ConstVector lambda, Vector gradient_w, Vector gradient_lambda) override;
  bool known_diagonal(ConstVector lambda, Vector out) override;
  void know_diagonal(double value) { known_ = value; }

 private:
  Numbers a_, b_, c_, target_;
  double known_ = 0.0;
};

/// Q diag(eigenvalues) Q^T with a random orthogonal Q; [n, n].
Numbers symmetric_matrix(const Numbers& eigenvalues, std::uint64_t seed);
/// A x for A [rows, x.size()].
Numbers times(const Numbers& a, ConstVector x);
/// A^-1 b by Gaussian elimination with partial pivoting.
Numbers solve_dense(Numbers a, Numbers b);
/// H at (w, lambda), column by column.
Numbers dense_hessian(BilevelProblem& problem, ConstVector w, ConstVector lambda);
double median(Numbers values);

}  // namespace deq::test
