#include "solvers/bilevel/lower_level.h"

#include <algorithm>
#include <atomic>

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

/// Whole inner runs along several lambda; every run starts at w with an empty memory.
class EvolutionLevel final : public LowerLevel {
 public:
  EvolutionLevel(BilevelProblem& problem, const LowerOptions& options, const EsjOptions& esj)
      : problem_(problem), options_(options), esj_(esj) {
    check(static_cast<bool>(options.make_problem), "esj", "needs a factory of problems, one for each thread");
  }

  LowerReport solve(const LowerRequest& request, Vector w, Vector gradient) override {
    // The differences of runs have to be larger than what the runs leave unsolved.
    constexpr double kShareOfTolerance = 1e-2;
    LbfgsOptions inner = options_.inner;
    inner.tolerance = kShareOfTolerance * request.inner_tolerance;
    std::atomic<std::int64_t> evaluations = 0;
    const InnerRunFactory make_run = [&]() -> InnerRun {
      return [&, problem = std::shared_ptr<BilevelProblem>(options_.make_problem())](ConstVector lambda, Vector at) {
        QuasiNewtonMemory memory(problem->inner_size(), options_.method.memory, options_.initial, options_.precision);
        evaluations += minimise_lbfgs(*problem, lambda, at, memory, inner).count.inner_gradients;
      };
    };
    EsjOptions esj = esj_;
    esj.seed = options_.seed;
    esj.draw = static_cast<std::uint64_t>(request.outer);
    const EsjReport estimated = estimate_esj(problem_, make_run, request.lambda, w, esj, gradient);
    LowerReport out{.adjoint_steps = estimated.runs, .value = estimated.outer_value};
    std::vector<double> slope(w.size());
    problem_.inner(w, request.lambda, slope);
    out.residual = norm(slope);
    out.status = !(out.residual <= request.inner_tolerance) ? SolveStatus::max_steps : SolveStatus::converged;
    out.count.inner_gradients = evaluations + 1;
    out.count.outer_gradients = 1;
    return out;
  }

 private:
  BilevelProblem& problem_;
  LowerOptions options_;
  EsjOptions esj_;
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
