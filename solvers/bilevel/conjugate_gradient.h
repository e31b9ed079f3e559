#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "solvers/bilevel/problem.h"

namespace deq {

/// How the solution q of H q = c was found.
enum class AdjointStatus : std::uint8_t {
  converged,           ///< the residual met the tolerance
  max_steps,           ///< budget used; q is the last iterate
  negative_curvature,  ///< a direction with p^T H p <= 0 was met; q is the iterate before it
  nonfinite,           ///< inf or nan appeared; q is the last finite iterate
  direct,              ///< no iteration: q is as good as the estimate that made it
};
std::string_view name_of(AdjointStatus status);

struct ConjugateGradientOptions {
  double tolerance = 1e-10;  ///< stop when |c - H q| <= tolerance |c|
  int max_iterations = 10000;
  bool operator==(const ConjugateGradientOptions&) const = default;
};

struct LinearReport {
  AdjointStatus status = AdjointStatus::max_steps;
  int iterations = 0;
  double residual = 0.0;      ///< |c - H q| / |c|, by the recursion
  int operator_products = 0;  ///< iterations, and one more when the start is not zero
};

/// Solves H q = c by conjugate gradients from the given `q`, for symmetric positive definite H.
/// @param product  out = H v
/// @param c  [n]
/// @param q  [n] start on entry, solution on return; c = 0 gives q = 0
///
/// Source: M. Hestenes, E. Stiefel, J. Res. NBS 49 (1952).
LinearReport solve_conjugate_gradient(const std::function<void(ConstVector v, Vector out)>& product, ConstVector c,
                                      Vector q, const ConjugateGradientOptions& options);

}  // namespace deq
