#include "solvers/bilevel/search.h"

#include <cmath>
#include <utility>

#include "core/error.h"
#include "core/random.h"
#include "solvers/bilevel/pausable_clock.h"
#include "solvers/bilevel/vector_ops.h"

namespace deq {
namespace {

constexpr std::uint32_t kCandidateSite = 0x5ea4c4;  // of this draw among those with the same seed

void check_candidates(int count, double bound, std::int64_t size) {
  check(count >= 1 && bound > 0 && size >= 1, "search", "count is ", count, ", bound ", bound, " and size ", size,
        "; all must be positive");
}

}  // namespace

std::vector<std::vector<double>> grid_candidates(int count, double bound, std::int64_t size) {
  check_candidates(count, bound, size);
  std::vector<std::vector<double>> out;
  for (int k = 0; k < count; ++k) {
    const double value = count == 1 ? 0.0 : -bound + 2 * bound * k / (count - 1);
    out.emplace_back(static_cast<std::size_t>(size), value);
  }
  return out;
}

std::vector<std::vector<double>> random_candidates(int count, double bound, std::int64_t size, std::uint64_t seed) {
  check_candidates(count, bound, size);
  std::vector<std::vector<double>> out;
  for (int k = 0; k < count; ++k) {
    const RandomStream stream{.seed = seed, .counter = static_cast<std::uint64_t>(k), .site = kCandidateSite};
    std::vector<double> candidate(static_cast<std::size_t>(size));
    for (std::int64_t i = 0; i < size; ++i) candidate[i] = bound * (2 * uniform(stream, i) - 1);
    out.push_back(std::move(candidate));
  }
  return out;
}

OuterResult run_search(BilevelProblem& problem, const std::vector<std::vector<double>>& candidates,
                       std::vector<double> lambda, std::vector<double> w, const SearchOptions& options,
                       const OuterObserver& observer) {
  check(w.size() == static_cast<std::size_t>(problem.inner_size()), "search", "w has ", w.size(),
        " entries, the problem has ", problem.inner_size());
  PausableClock clock;
  EvaluationCount count{.inner_gradients = 1};
  std::vector<double> slope(w.size()), gradient_w(w.size()), gradient_lambda(lambda.size());
  problem.inner(w, lambda, slope);
  LbfgsOptions inner = options.inner;
  OuterResult out;
  const auto finish_point = [&](OuterPoint point) {
    point.validation_loss = problem.outer(w, point.lambda, gradient_w, gradient_lambda);
    clock.pause();
    point.seconds = clock.seconds();
    point.count = count;
    point.test_loss = problem.test(w);
    out.trace.push_back(std::move(point));
    if (observer.observe) observer.observe(out.trace.back());
    return std::isfinite(out.trace.back().validation_loss);
  };
  const double first = norm(slope);
  inner.tolerance = options.inner.tolerance * first;
  if (!finish_point({.lambda = lambda, .inner_residual = first}) || !std::isfinite(first))
    out.status = OuterStatus::nonfinite;
  QuasiNewtonMemory memory(problem.inner_size(), options.memory, options.initial, options.precision);
  std::vector<double> start = w;  // of the next solve: the last w whose loss is finite
  for (std::size_t k = 0; k < candidates.size() && out.status == OuterStatus::finished; ++k) {
    if (observer.is_stopped && observer.is_stopped()) {
      out.status = OuterStatus::stopped;
      break;
    }
    clock.resume();
    w = start;
    // Candidates lie far apart: the pairs of one would mislead the next.
    memory.clear();
    const InnerReport solved = minimise_lbfgs(problem, candidates[k], w, memory, inner);
    count += solved.count;
    ++count.outer_gradients;
    const bool is_finite = finish_point({.outer = static_cast<int>(k) + 1,
                                         .lambda = candidates[k],
                                         .inner_residual = solved.residual,
                                         .inner_tolerance = inner.tolerance,
                                         .inner_status = solved.status,
                                         .inner_iterations = solved.iterations});
    if (is_finite && solved.status != SolveStatus::nonfinite) start = w;
  }
  out.w = std::move(w);
  out.lambda = out.trace.back().lambda;
  return out;
}

}  // namespace deq
