#include "solvers/bilevel/nonlinear_least_squares.h"

#include <cmath>
#include <utility>

#include "solvers/bilevel/vector_math.h"

namespace deq {

NonlinearLeastSquares::NonlinearLeastSquares(BilevelSamples samples, PenaltyGroups groups)
    : MarginProblem(std::move(samples), groups, std::make_unique<SigmoidSquaredLoss>()) {}

void SigmoidSquaredLoss::evaluate(ConstVector margins, ConstVector labels, std::span<MarginTerm> terms) const {
#pragma omp simd
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const double small = exp_nonpositive(-std::abs(margins[i]));
    const double far = small / (1 + small);
    const double near = 1 / (1 + small);
    const double sigma = margins[i] >= 0 ? near : far;
    const double first = far * near;                                            // sigma'
    const double second = first * (margins[i] >= 0 ? far - near : near - far);  // sigma''= sigma' (1 - 2 sigma)
    const double gap = sigma - labels[i];
    terms[i] = {.value = 0.5 * gap * gap, .slope = gap * first, .curvature = first * first + gap * second};
  }
}

}  // namespace deq
