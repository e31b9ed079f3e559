#include "solvers/bilevel/conjugate_gradient.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "solvers/bilevel/vector_ops.h"

namespace deq {

std::string_view name_of(AdjointStatus status) {
  switch (status) {
    case AdjointStatus::converged: return "converged";
    case AdjointStatus::max_steps: return "max_steps";
    case AdjointStatus::negative_curvature: return "negative_curvature";
    case AdjointStatus::nonfinite: return "nonfinite";
    case AdjointStatus::direct: return "direct";
  }
  return "unknown";
}

LinearReport solve_conjugate_gradient(const std::function<void(ConstVector v, Vector out)>& product, ConstVector c,
                                      Vector q, const ConjugateGradientOptions& options) {
  check(c.size() == q.size(), "solve_conjugate_gradient", "c has ", c.size(), " entries, q has ", q.size());
  check(options.tolerance >= 0.0 && options.max_iterations >= 0, "solve_conjugate_gradient", "tolerance is ",
        options.tolerance, " and max_iterations ", options.max_iterations, "; neither may be negative");
  LinearReport report;
  const double target = norm(c);
  if (target == 0.0) {
    std::fill(q.begin(), q.end(), 0.0);
    report.status = AdjointStatus::converged;
    return report;
  }
  std::vector<double> residual(c.begin(), c.end()), image(c.size());
  if (std::any_of(q.begin(), q.end(), [](double value) { return value != 0.0; })) {
    product(q, image);
    ++report.operator_products;
    add_scaled(-1.0, image, residual);
  }
  std::vector<double> direction = residual;
  double squared = dot(residual, residual);
  for (;; ++report.iterations) {
    report.residual = std::sqrt(squared) / target;
    if (!std::isfinite(squared)) {
      report.status = AdjointStatus::nonfinite;
    } else if (report.residual <= options.tolerance || squared == 0.0) {
      report.status = AdjointStatus::converged;
    } else if (report.iterations < options.max_iterations) {
      product(direction, image);
      ++report.operator_products;
      const double curvature = dot(direction, image);
      if (curvature > 0.0 && std::isfinite(curvature)) {
        const double length = squared / curvature;
        const double next = add_scaled_dot(-length, image, residual, residual);
        add_scaled_turn(length, direction, q, residual, next / squared);
        squared = next;
        continue;
      }
      report.status = std::isfinite(curvature) ? AdjointStatus::negative_curvature : AdjointStatus::nonfinite;
    }
    return report;
  }
}

}  // namespace deq
