#include "solvers/bilevel/nystrom.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/random.h"
#include "solvers/bilevel/vector_ops.h"

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

}  // namespace

NystromInverse::NystromInverse(BilevelProblem& problem, const HypergradientPoint& point, const NystromAdjoint& options,
                               EvaluationCount& count) {
  check(options.columns >= 1 && options.damping > 0.0, "NystromInverse", "columns is ", options.columns,
        " and damping ", options.damping, "; both must be positive");
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

  std::vector<double> small(static_cast<std::size_t>(k) * k), scaled(size);
  for (int i = 0; i < k; ++i) {
    for (std::int64_t n = 0; n < size; ++n) scaled[n] = inverse_diagonal_[n] * columns_[i][n];
    for (int j = 0; j <= i; ++j) {
      const double middle = 0.5 * (columns_[i][chosen[j]] + columns_[j][chosen[i]]);
      small[i * k + j] = small[j * k + i] = middle + dot(scaled, columns_[j]);
    }
  }
  small_.emplace(std::move(small), k);
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
}

}  // namespace deq
