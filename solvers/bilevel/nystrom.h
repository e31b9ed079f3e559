#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "solvers/bilevel/hypergradient.h"
#include "solvers/bilevel/pivoted_lu.h"

namespace deq {

/// The factored Nystrom approximation of H at one point, for any number of right-hand sides:
/// (D + C M^-1 C^T)^-1 v = D^-1 v - D^-1 C (M + C^T D^-1 C)^-1 C^T D^-1 v with C = (H - D)[:, K] and M = C[K, :].
class NystromInverse {
 public:
  /// Takes `options.columns` Hessian products (at most d) and keeps as many vectors. `count` grows by them.
  /// @throws Error when an option is out of range
  NystromInverse(BilevelProblem& problem, const HypergradientPoint& point, const NystromAdjoint& options,
                 EvaluationCount& count);
  /// out [d] = the inverse times v [d]; they must not overlap.
  void apply(ConstVector v, Vector out) const;
  [[nodiscard]] int columns() const { return static_cast<int>(columns_.size()); }

 private:
  std::vector<double> inverse_diagonal_;      ///< D^-1 [d], with the damping where D is not known
  std::vector<std::vector<double>> columns_;  ///< C, one [d] a column
  std::optional<PivotedLu> small_;            ///< M + C^T D^-1 C
};

}  // namespace deq
