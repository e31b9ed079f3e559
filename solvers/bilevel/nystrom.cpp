#include "solvers/bilevel/nystrom.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/random.h"
#include "solvers/bilevel/vector_ops.h"
#include "solvers/cholesky.h"
#include "solvers/symmetric_eigen.h"

namespace deq {
namespace {

constexpr std::uint32_t kColumnSite = 0x4E79;

/// `count` distinct numbers below `size`, ascending (R. Floyd's sampling).
std::vector<std::int64_t> draw_columns(std::int64_t size, int count, const RandomStream& stream) {
  std::set<std::int64_t> chosen;
  for (std::int64_t last = size - count; last < size; ++last) {
    const auto bits = random_block(stream, static_cast<std::uint32_t>(last - (size - count)));
    const double unit = uniform_from(bits[0]) + 0x1p-24 * uniform_from(bits[1]);
    const auto pick = std::min(last, static_cast<std::int64_t>(unit * static_cast<double>(last + 1)));
    if (!chosen.insert(pick).second) chosen.insert(last);
  }
  return {chosen.begin(), chosen.end()};
}

/// Whether a symmetric matrix [k, k] has no negative eigenvalue, but for rounding.
bool is_positive(std::vector<double> matrix, int k) {
  constexpr double kRounding = 1e-10;
  double largest = 0.0;
  for (int i = 0; i < k; ++i) largest = std::max(largest, std::abs(matrix[i * k + i]));
  for (int i = 0; i < k; ++i) matrix[i * k + i] += kRounding * largest;
  std::vector<double> right(k);
  return solve_cholesky(matrix, right);
}

}  // namespace

NystromInverse::NystromInverse(BilevelProblem& problem, const HypergradientPoint& point, const NystromAdjoint& options,
                               EvaluationCount& count) {
  check(options.columns >= 1 && options.damping > 0.0 && options.max_gain >= 0.0, "NystromInverse", "columns is ",
        options.columns, ", damping ", options.damping, " and max_gain ", options.max_gain,
        "; columns and damping must be positive, max_gain not negative");
  const std::int64_t size = problem.inner_size();
  std::vector<double> known(size, 0.0);
  if (!options.uses_diagonal || !problem.known_diagonal(point.lambda, known))
    std::fill(known.begin(), known.end(), 0.0);
  inverse_diagonal_.resize(size);
  for (std::int64_t i = 0; i < size; ++i) {
    if (!(known[i] > 0.0)) known[i] = 0.0;
    inverse_diagonal_[i] = 1.0 / (known[i] > 0.0 ? known[i] : options.damping);
  }

  const int k = static_cast<int>(std::min<std::int64_t>(options.columns, size));
  const auto chosen = draw_columns(size, k, {.seed = options.seed, .counter = point.draw, .site = kColumnSite});
  std::vector<double> unit(size, 0.0);
  for (const std::int64_t j : chosen) {
    std::vector<double>& column = columns_.emplace_back(size);
    unit[j] = 1.0;
    problem.hessian_product(point.w, point.lambda, unit, column);
    ++count.hessian_products;
    unit[j] = 0.0;
    column[j] -= known[j];
  }

  std::vector<double> middle(static_cast<std::size_t>(k) * k), gram(middle.size()), scaled(size);
  for (int i = 0; i < k; ++i) {
    for (std::int64_t n = 0; n < size; ++n) scaled[n] = inverse_diagonal_[n] * columns_[i][n];
    for (int j = 0; j <= i; ++j) {
      middle[i * k + j] = middle[j * k + i] = 0.5 * (columns_[i][chosen[j]] + columns_[j][chosen[i]]);
      gram[i * k + j] = gram[j * k + i] = dot(scaled, columns_[j]);
    }
  }
  std::vector<double> small = middle;
  add_scaled(1.0, gram, small);
  small_.emplace(std::move(small), k);
  if (options.max_gain > 0.0 && !is_positive(middle, k)) bound_gain(options.max_gain, std::move(gram));
}

void NystromInverse::bound_gain(double most, std::vector<double> gram) {
  // With D^-1/2 C = Q R the inverse is D^-1/2 (I - Q T Q^T) D^-1/2, T = R S^-1 R^T and S the small matrix. T has the
  // eigenvalues of B^T S^-1 B for any square root B B^T of the gram matrix R^T R; if u is an eigenvector of that for t,
  // then D^-1/2 C S^-1 B u / t is a unit eigenvector of Q T Q^T.
  const int k = columns();
  std::vector<double> root(gram.size()), solved(gram.size()), reduced(gram.size()), vectors(gram.size()), column(k);
  symmetric_eigen(k, gram, root);
  for (int i = 0; i < k; ++i)
    for (int j = 0; j < k; ++j) root[i * k + j] *= std::sqrt(std::max(0.0, gram[j * k + j]));
  for (int j = 0; j < k; ++j) {
    for (int i = 0; i < k; ++i) column[i] = root[i * k + j];
    small_->solve(column);
    for (int i = 0; i < k; ++i) solved[i * k + j] = column[i];
  }
  for (int i = 0; i < k; ++i)
    for (int j = 0; j <= i; ++j) {
      for (int n = 0; n < k; ++n)
        reduced[i * k + j] += 0.5 * (root[n * k + i] * solved[n * k + j] + root[n * k + j] * solved[n * k + i]);
      reduced[j * k + i] = reduced[i * k + j];
    }
  symmetric_eigen(k, reduced, vectors);
  for (int j = 0; j < k; ++j) {
    const double inverse = 1.0 - reduced[j * k + j];  // of an eigenvalue relative to D
    if (!(std::abs(inverse) > most)) continue;
    Correction& made = corrections_.emplace_back();
    made.added = std::copysign(most, inverse) - inverse;
    made.direction.assign(inverse_diagonal_.size(), 0.0);
    for (int i = 0; i < k; ++i) {
      double weight = 0.0;
      for (int n = 0; n < k; ++n) weight += solved[i * k + n] * vectors[n * k + j];
      add_scaled(weight / reduced[j * k + j], columns_[i], made.direction);
    }
    for (std::size_t n = 0; n < inverse_diagonal_.size(); ++n) made.direction[n] *= inverse_diagonal_[n];
  }
}

void NystromInverse::apply(ConstVector v, Vector out) const {
  check(v.size() == inverse_diagonal_.size() && out.size() == v.size(), "NystromInverse::apply", "the vectors have ",
        v.size(), " and ", out.size(), " entries, expected ", inverse_diagonal_.size());
  for (std::size_t i = 0; i < v.size(); ++i) out[i] = inverse_diagonal_[i] * v[i];
  std::vector<double> weights;
  for (const auto& column : columns_) weights.push_back(dot(column, out));
  small_->solve(weights);
  std::vector<double> sum(v.begin(), v.end());
  for (std::size_t j = 0; j < columns_.size(); ++j) add_scaled(-weights[j], columns_[j], sum);
  for (std::size_t i = 0; i < v.size(); ++i) out[i] = inverse_diagonal_[i] * sum[i];
  for (const Correction& each : corrections_) add_scaled(each.added * dot(each.direction, v), each.direction, out);
}

}  // namespace deq
