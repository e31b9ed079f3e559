#include "solvers/bilevel/lower_level.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "core/error.h"
#include "solvers/bilevel/vector_ops.h"

namespace deq {
namespace {

/// L-BFGS, then an estimate that may share what L-BFGS learnt.
class ImplicitLevel final : public LowerLevel {
 public:
  ImplicitLevel(BilevelProblem& problem, const LowerOptions& options, const ImplicitMethod& method, ConstVector w)
      : problem_(problem),
        options_(options),
        method_(method),
        memory_(problem.inner_size(), options.method.memory, options.initial, options.precision),
        q_(w.begin(), w.end()) {}

  LowerReport solve(const LowerRequest& request, Vector w, Vector gradient) override {
    LbfgsOptions inner = options_.inner;
    inner.tolerance = request.inner_tolerance;
    if (method_.is_outer_aware)
      inner.awareness =
          OuterAwareness{.period = std::max(1, request.points - request.outer),
                         .of = request.lambda.size() == 1 ? AwareOf::outer_parameter : AwareOf::outer_gradient,
                         .final_pairs = method_.final_pairs};
    if (!options_.carries_memory) memory_.clear();
    const InnerReport solved = minimise_lbfgs(problem_, request.lambda, w, memory_, inner);
    LowerReport out{.status = solved.status, .iterations = solved.iterations, .residual = solved.residual};
    out.count = solved.count;
    const HypergradientPoint point{
        .w = w, .lambda = request.lambda, .memory = &memory_, .draw = static_cast<std::uint64_t>(request.outer)};
    const HypergradientReport estimated =
        estimate_hypergradient(problem_, point, method_at(request.tolerance), q_, gradient);
    // Where H is no metric, q has gone far along directions of hardly any curvature: the next solve must not go on
    // there.
    const bool is_definite =
        estimated.status != AdjointStatus::negative_curvature && estimated.status != AdjointStatus::nonfinite;
    if (!is_definite) std::fill(q_.begin(), q_.end(), 0.0);
    out.adjoint_status = estimated.status;
    out.adjoint_steps = estimated.steps;
    out.value = estimated.outer_value;
    out.count += estimated.count;
    return out;
  }

 private:
  /// The estimate with the tolerance and the budget of this outer iteration.
  [[nodiscard]] HypergradientMethod method_at(double tolerance) const {
    HypergradientMethod out = method_.estimate;
    const ConjugateGradientOptions solver{.tolerance = tolerance,
                                          .max_iterations = adjoint_iterations(method_.budget, tolerance)};
    if (auto* exact = std::get_if<ExactAdjoint>(&out)) exact->solver = solver;
    if (auto* refined = std::get_if<RefinedByCg>(&out)) refined->solver = solver;
    if (auto* nystrom = std::get_if<NystromAdjoint>(&out)) nystrom->seed = options_.seed;
    return out;
  }

  BilevelProblem& problem_;
  LowerOptions options_;
  ImplicitMethod method_;
  QuasiNewtonMemory memory_;
  std::vector<double> q_;
};

/// L-BFGS, then whole runs along several lambda that start where it ended, with the pairs it found. Its estimate is
/// AdjointStatus::max_steps when a run stays unsolved.
class EvolutionLevel final : public LowerLevel {
 public:
  EvolutionLevel(BilevelProblem& problem, const LowerOptions& options, const EsjOptions& esj)
      : problem_(problem),
        options_(options),
        esj_(esj),
        memory_(problem.inner_size(), options.method.memory, options.initial, options.precision) {
    check(static_cast<bool>(options.make_problem), "esj", "needs a factory of problems, one for each thread");
  }

  LowerReport solve(const LowerRequest& request, Vector w, Vector gradient) override {
    // What runs leave unsolved must be small beside what a move of lambda by the radius asks of them. Where H is so
    // ill-conditioned that it cannot be, they are as long as each other, like those of the published algorithm.
    constexpr double kShareOfChange = 1e-2;
    constexpr int kLongestRun = 100;
    LbfgsOptions inner = options_.inner;
    inner.tolerance = request.inner_tolerance;
    if (!options_.carries_memory) memory_.clear();
    LowerReport out;
    out.count = minimise_lbfgs(problem_, request.lambda, w, memory_, inner).count;
    inner.tolerance = std::min(inner.tolerance, kShareOfChange * change_over_radius(request.lambda, w, out.count));
    inner.max_iterations = std::min(inner.max_iterations, kLongestRun);
    const InnerReport solved = minimise_lbfgs(problem_, request.lambda, w, memory_, inner);
    out.status = solved.residual < request.inner_tolerance ? SolveStatus::converged : solved.status;
    out.residual = solved.residual;
    out.count += solved.count;

    std::atomic<std::int64_t> evaluations = 0;
    std::atomic<bool> are_solved = true;
    const InnerRunFactory make_run = [&]() -> InnerRun {
      return [&, problem = std::shared_ptr<BilevelProblem>(options_.make_problem())](ConstVector lambda, Vector at) {
        QuasiNewtonMemory memory = memory_;
        const InnerReport run = minimise_lbfgs(*problem, lambda, at, memory, inner);
        evaluations += run.count.inner_gradients;
        if (run.status != SolveStatus::converged) are_solved = false;
      };
    };
    EsjOptions esj = esj_;
    esj.seed = options_.seed;
    esj.draw = static_cast<std::uint64_t>(request.outer);
    const EsjReport estimated = estimate_esj(problem_, make_run, request.lambda, w, esj, gradient);
    out.adjoint_status = are_solved ? AdjointStatus::converged : AdjointStatus::max_steps;
    out.adjoint_steps = estimated.runs;
    out.value = estimated.outer_value;
    out.count.inner_gradients += evaluations;
    ++out.count.outer_gradients;
    return out;
  }

 private:
  /// What |grad_w r| grows by at w when all of lambda moves together, by the radius.
  double change_over_radius(ConstVector lambda, ConstVector w, EvaluationCount& count) {
    std::vector<double> moved(lambda.begin(), lambda.end()), here(w.size()), there(w.size());
    for (double& value : moved) value += esj_.radius / std::sqrt(static_cast<double>(moved.size()));
    problem_.inner(w, lambda, here);
    problem_.inner(w, moved, there);
    count.inner_gradients += 2;
    add_scaled(-1.0, here, there);
    return norm(there);
  }

  BilevelProblem& problem_;
  LowerOptions options_;
  EsjOptions esj_;
  QuasiNewtonMemory memory_;
};

}  // namespace

std::unique_ptr<LowerLevel> make_lower_level(BilevelProblem& problem, const LowerOptions& options, ConstVector w) {
  if (const auto* implicit = std::get_if<ImplicitMethod>(&options.method.method))
    return std::make_unique<ImplicitLevel>(problem, options, *implicit, w);
  const auto* esj = std::get_if<EsjOptions>(&options.method.method);
  check(esj != nullptr, "lower level", "'", options.method.name, "' is a search and has no hypergradient");
  return std::make_unique<EvolutionLevel>(problem, options, *esj);
}

}  // namespace deq
