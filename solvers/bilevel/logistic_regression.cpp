#include "solvers/bilevel/logistic_regression.h"

#include <cmath>
#include <utility>

#include "solvers/bilevel/vector_math.h"

namespace deq {

LogisticRegression::LogisticRegression(BilevelSamples samples, PenaltyGroups groups)
    : MarginProblem(std::move(samples), groups, std::make_unique<LogisticLoss>()) {}

void LogisticLoss::evaluate(ConstVector margins, ConstVector labels, std::span<MarginTerm> terms) const {
#pragma omp simd
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const double agreement = labels[i] * margins[i];
    // Only e^-|t| is taken, which cannot overflow; sigma(-t) then has no cancellation on either side.
    const double small = exp_nonpositive(-std::abs(agreement));
    const double far = small / (1 + small);
    const double near = 1 / (1 + small);
    const double doubt = agreement >= 0 ? far : near;  // sigma(-t)
    terms[i] = {.value = log1p_unit(small) + (agreement < 0 ? -agreement : 0),
                .slope = -labels[i] * doubt,
                .curvature = far * near};
  }
}

}  // namespace deq
