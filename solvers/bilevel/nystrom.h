#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "solvers/bilevel/hypergradient.h"
#include "solvers/bilevel/pivoted_lu.h"

namespace deq {

/// The factored Nystrom approximation of H at one point, for any number of right-hand sides:
/// (D + C M^-1 C^T)^-1 v = D^-1 v - D^-1 C (M + C^T D^-1 C)^-1 C^T D^-1 v with C = (H - D)[:, K] and M = C[K, :].
///
/// An indefinite M can bring an eigenvalue of the approximation, relative to D, anywhere near zero, where its inverse
/// says nothing about H. Such eigenvalues are taken as 1 / max_gain in size, so that |D^1/2 x| <= max_gain |D^-1/2 v|.
/// Those of a positive M are 1 or more: nothing changes.
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
  /// A direction whose inverse eigenvalue is out of bounds, and what is added to it.
  struct Correction {
    std::vector<double> direction;  ///< D^-1/2 times the unit eigenvector, [d]
    double added = 0.0;
  };
  /// @param gram  C^T D^-1 C [k, k], row-major
  void bound_gain(double most, std::vector<double> gram);

  std::vector<double> inverse_diagonal_;      ///< D^-1 [d], with the damping where D is not known
  std::vector<std::vector<double>> columns_;  ///< C, one [d] a column
  std::optional<PivotedLu> small_;            ///< M + C^T D^-1 C
  std::vector<Correction> corrections_;
};

}  // namespace deq
