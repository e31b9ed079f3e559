#pragma once

#include <limits>

#include "solvers/bilevel/problem.h"
#include "solvers/bilevel/quasi_newton_memory.h"

namespace deq {

/// Pairs that a memory takes at one w, so that B^-1 v comes to H^-1 v there.
struct PairAim {
  int pairs = 0;
  double scale = 1e-4;  ///< differences reach over scale max(1, |w|)
};

struct AimReport {
  int taken = 0;            ///< pairs
  bool is_refused = false;  ///< a direction without positive curvature ended it
  /// |v - H q| / |v| by the recursion; not a number when no pair was taken.
  double residual = std::numeric_limits<double>::quiet_NaN();
  /// Inner gradients that were asked for.
  [[nodiscard]] int gradients() const { return taken + (is_refused ? 1 : 0); }
};

/// Each pair is (e, H e) with e = B^-1 (v - H q) and H e by a difference of grad r; then q gains the best multiple of
/// e. The first e is B^-1 v, the extra pair of SHINE's outer awareness at the solution. Taking B^-1 v again would be
/// nearly the same direction; what is left of v is what B^-1 has yet to learn (the recursion of qNBO's second loop).
///
/// Source: Z. Ramzi et al., SHINE, ICLR 2022, "outer-problem awareness"; qNBO, ICLR 2025.
/// @param slope  [d] grad r(w, lambda)
/// @param q      [d] receives the approximation of H^-1 v; B^-1 v when no pair was taken
/// @throws Error when an option is out of range
AimReport aim_pairs(BilevelProblem& problem, ConstVector w, ConstVector lambda, ConstVector slope, ConstVector v,
                    const PairAim& aim, QuasiNewtonMemory& memory, Vector q);

}  // namespace deq
