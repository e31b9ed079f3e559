#include "solvers/bilevel/inverse_quality.h"

#include "core/error.h"
#include "core/random.h"
#include "solvers/bilevel/conjugate_gradient.h"
#include "solvers/bilevel/vector_ops.h"

namespace deq {
namespace {

constexpr std::uint32_t kStartSite = 1, kPrescribedSite = 2, kRandomSite = 3;

std::vector<double> draw_normal(std::int64_t size, std::uint64_t seed, int run, std::uint32_t site) {
  const RandomStream stream{.seed = seed, .counter = static_cast<std::uint64_t>(run), .site = site};
  std::vector<double> values(size);
  for (std::int64_t i = 0; i < size; ++i) values[i] = normal(stream, i);
  return values;
}

}  // namespace

std::string_view name_of(ProbedDirection direction) {
  switch (direction) {
    case ProbedDirection::prescribed: return "prescribed";
    case ProbedDirection::krylov: return "krylov";
    case ProbedDirection::random: return "random";
  }
  return "unknown";
}

InverseQualityResult measure_inverse_quality(BilevelProblem& problem, ConstVector lambda,
                                             const InverseQualityOptions& options) {
  check(options.runs >= 1 && options.period >= 0, "measure_inverse_quality", "runs is ", options.runs, " and period ",
        options.period, "; expected runs >= 1 and period >= 0");
  const std::int64_t size = problem.inner_size();
  const ConjugateGradientOptions reference{.tolerance = 1e-12, .max_iterations = static_cast<int>(10 * size + 100)};
  InverseQualityResult result;
  for (int run = 0; run < options.runs; ++run) {
    if (options.before_run) options.before_run();
    std::vector<double> w = draw_normal(size, options.seed, run, kStartSite);
    const std::vector<double> prescribed = draw_normal(size, options.seed, run, kPrescribedSite);
    LbfgsOptions solver = options.solver;
    solver.awareness.reset();
    if (options.period > 0) solver.awareness = OuterAwareness{.period = options.period, .direction = prescribed};
    QuasiNewtonMemory memory(size, options.memory);
    bool is_solved = minimise_lbfgs(problem, lambda, w, memory, solver).status == SolveStatus::converged;

    const auto product = [&](ConstVector v, Vector out) { problem.hessian_product(w, lambda, v, out); };
    const auto compare = [&](ProbedDirection direction, ConstVector x) {
      std::vector<double> shared(size), exact(size, 0.0);
      memory.apply(x, shared);
      is_solved &= solve_conjugate_gradient(product, x, exact, reference).status == AdjointStatus::converged;
      result.points.push_back({.direction = direction,
                               .run = run,
                               .ratio = norm(shared) / norm(exact),
                               .cosine = cosine(shared, exact),
                               .error = relative_error(shared, exact)});
    };
    std::vector<double> last_change(size, 0.0);
    if (memory.pairs() > 0) product(memory.step(memory.pairs() - 1), last_change);
    compare(ProbedDirection::prescribed, prescribed);
    compare(ProbedDirection::krylov, last_change);
    compare(ProbedDirection::random, draw_normal(size, options.seed, run, kRandomSite));
    result.unconverged += is_solved ? 0 : 1;
  }
  return result;
}

}  // namespace deq
