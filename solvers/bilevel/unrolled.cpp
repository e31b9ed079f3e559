#include "solvers/bilevel/unrolled.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/random.h"
#include "solvers/bilevel/vector_ops.h"

namespace deq {
namespace {

constexpr int kPowerIterations = 20;
constexpr double kEigenvalueMargin = 1.1;  // the power method comes from below
constexpr RandomStream kPowerStart{.seed = 1, .counter = 0, .site = 0x5057};

}  // namespace

double largest_eigenvalue(BilevelProblem& problem, ConstVector w, ConstVector lambda, int iterations,
                          EvaluationCount& count) {
  std::vector<double> v(w.size()), image(w.size());
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = normal(kPowerStart, static_cast<std::int64_t>(i));
  double value = 0.0;
  for (int k = 0; k < iterations; ++k) {
    const double length = norm(v);
    if (!(length > 0.0) || !std::isfinite(length)) break;
    scale(1.0 / length, v);
    problem.hessian_product(w, lambda, v, image);
    ++count.hessian_products;
    value = norm(image);
    std::swap(v, image);
  }
  return value;
}

HypergradientReport differentiate_unrolled(BilevelProblem& problem, ConstVector lambda, Vector w,
                                           const UnrolledAdjoint& method, Vector q, Vector gradient) {
  check(method.steps >= 1 && 0 <= method.depth && method.depth <= method.steps && method.step >= 0.0,
        "differentiate_unrolled", "steps is ", method.steps, ", depth ", method.depth, " and step ", method.step,
        "; expected steps >= 1, 0 <= depth <= steps, step >= 0");
  HypergradientReport report;
  const int depth = method.depth == 0 ? method.steps : method.depth;
  double rate = method.step;
  if (rate == 0.0) {
    const double top = largest_eigenvalue(problem, w, lambda, kPowerIterations, report.count);
    rate = top > 0.0 ? 1.0 / (kEigenvalueMargin * top) : 1.0;
  }

  std::deque<std::vector<double>> iterates;  // the last `depth` starting points of a step
  std::vector<double> slope(w.size());
  for (int t = 0; t < method.steps; ++t) {
    if (static_cast<int>(iterates.size()) == depth) iterates.pop_front();
    iterates.emplace_back(w.begin(), w.end());
    problem.inner(w, lambda, slope);
    ++report.count.inner_gradients;
    add_scaled(-rate, slope, w);
  }

  std::vector<double> signal(w.size()), image(w.size()), mixed(gradient.size());
  report.outer_value = problem.outer(w, lambda, signal, gradient);
  ++report.count.outer_gradients;
  std::fill(q.begin(), q.end(), 0.0);
  while (!iterates.empty()) {
    add_scaled(rate, signal, q);
    problem.cross_product(iterates.back(), lambda, signal, mixed);
    ++report.count.cross_products;
    add_scaled(-rate, mixed, gradient);
    if (iterates.size() > 1) {
      problem.hessian_product(iterates.back(), lambda, signal, image);
      ++report.count.hessian_products;
      add_scaled(-rate, image, signal);
    }
    iterates.pop_back();
  }
  report.steps = depth;
  if (!std::isfinite(norm(q)) || !std::isfinite(norm(gradient))) report.status = AdjointStatus::nonfinite;
  return report;
}

}  // namespace deq
