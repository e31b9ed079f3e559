#include "train/tune_audit.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/worse.h"
#include "solvers/bilevel/pausable_clock.h"
#include "solvers/bilevel/vector_ops.h"
#include "train/interrupt.h"
#include "train/tune_statistics.h"

namespace deq {
namespace {

constexpr double kExactInner = 1e-9;     // relative to the first inner gradient
constexpr double kExactAdjoint = 1e-12;  // relative residual; CG in double gets there
constexpr double kOwnAdjoint = 1e-8;     // of g_w: far below any error that is measured with it
constexpr int kExactIterations = 20000;

/// Everything about the exact hypergradients of a path.
class Audit {
 public:
  Audit(const TuneConfig& config, const TuneTask& task, std::int64_t seed)
      : config_(config), task_(task), seed_(seed), problem_(task.make_problem()) {}

  /// HOAG's lambda, one for each outer iteration.
  void find_path(TuneAudit& out) {
    const MethodPreset hoag = *method_preset("hoag");
    const OuterResult run =
        run_hoag(*problem_, task_.lambda, task_.w,
                 hoag_options(config_, hoag, task_, static_cast<std::uint64_t>(seed_)), {.is_stopped = is_interrupted});
    stop_if_interrupted();
    for (std::size_t k = 1; k < run.trace.size(); ++k) out.path.push_back(run.trace[k].lambda);
    first_residual_ = run.trace.front().inner_residual;
  }

  void solve_point(TuneAudit& out, std::size_t k) {
    if (k == 0) w_ = task_.w;
    QuasiNewtonMemory memory(problem_->inner_size(), 50, InitialInverse::scaled);
    const InnerReport solved =
        minimise_lbfgs(*problem_, out.path[k], w_, memory,
                       {.tolerance = kExactInner * first_residual_, .max_iterations = kExactIterations});
    std::vector<double> gradient(out.path[k].size());
    const double residual = exact_gradient(w_, out.path[k], kExactAdjoint, gradient);
    out.exact_inner_residual = worse(out.exact_inner_residual, solved.residual / first_residual_);
    out.exact_adjoint_residual = worse(out.exact_adjoint_residual, residual);
    exact_.push_back(std::move(gradient));
  }

  HypergradientAudit follow(const std::string& method, const TuneAudit& audit, const std::function<bool()>& goes_on) {
    const MethodPreset preset = *method_preset(method);
    const HoagOptions options = hoag_options(config_, preset, task_, static_cast<std::uint64_t>(seed_));
    std::vector<double> w = task_.w;
    const std::unique_ptr<LowerLevel> level = make_lower_level(*problem_, options.lower, w);
    ToleranceSequence tolerance(options.tolerance);
    HypergradientAudit out{.method = method, .errors = {}};
    std::vector<double> cosines, ratios, own;
    PausableClock clock;
    clock.pause();
    for (std::size_t k = 0; k < audit.path.size() && goes_on(); ++k, tolerance.advance()) {
      std::vector<double> gradient(audit.path[k].size()), at_w(gradient.size());
      LowerRequest request{.lambda = audit.path[k], .outer = static_cast<int>(k) + 1, .points = options.points};
      request.tolerance = tolerance.value();
      request.inner_tolerance = tolerance.value() * first_residual_;
      clock.resume();
      const LowerReport solved = level->solve(request, w, gradient);
      clock.pause();
      out.inner_gradients += solved.count.inner_gradients;
      out.hessian_products += solved.count.hessian_products;
      if (!(norm(exact_[k]) > 0) || !std::isfinite(norm(exact_[k])) || !std::isfinite(norm(gradient))) continue;
      exact_gradient(w, audit.path[k], kOwnAdjoint, at_w);
      out.errors.push_back(relative_error(gradient, exact_[k]));
      cosines.push_back(cosine(gradient, exact_[k]));
      ratios.push_back(norm(gradient) / norm(exact_[k]));
      own.push_back(relative_error(gradient, at_w));
    }
    out.seconds = clock.seconds();
    out.relative_error = quantile(out.errors, 0.5);
    out.cosine = quantile(cosines, 0.5);
    out.norm_ratio = quantile(ratios, 0.5);
    out.estimate_error = quantile(own, 0.5);
    return out;
  }

 private:
  /// The implicit gradient at w. @returns the relative residual that conjugate gradients left
  double exact_gradient(ConstVector w, ConstVector lambda, double tolerance, Vector gradient) {
    if (q_.empty()) q_.assign(w.size(), 0.0);
    const ExactAdjoint method{.solver = {.tolerance = tolerance, .max_iterations = kExactIterations}};
    return estimate_hypergradient(*problem_, {.w = w, .lambda = lambda}, method, q_, gradient).residual;
  }

  const TuneConfig& config_;
  const TuneTask& task_;
  std::int64_t seed_;
  std::unique_ptr<BilevelProblem> problem_;
  double first_residual_ = 1;
  std::vector<double> w_, q_;
  std::vector<std::vector<double>> exact_;
};

}  // namespace

TuneAudit audit_hypergradients(const TuneConfig& config, const TuneTask& task, const std::vector<std::string>& methods,
                               std::int64_t seed, const std::function<bool(std::int64_t, std::int64_t)>& progress) {
  for (const std::string& method : methods)
    require(method != "grid" && method != "random", "--audit", "'", method,
            "' is a search and has no hypergradient to audit");
  TuneAudit out;
  Audit audit(config, task, seed);
  audit.find_path(out);
  check(!out.path.empty(), "audit", "HOAG did not get past its start: inf or nan at the first lambda");
  std::int64_t done = 0;
  const auto total = static_cast<std::int64_t>(out.path.size() * (methods.size() + 1));
  bool is_stopped = false;
  const auto goes_on = [&] {
    is_stopped = is_stopped || !progress(done++, total);
    return !is_stopped;
  };
  for (std::size_t k = 0; k < out.path.size() && goes_on(); ++k) audit.solve_point(out, k);
  for (const std::string& method : methods) {
    if (is_stopped) break;
    out.methods.push_back(audit.follow(method, out, goes_on));
  }
  return out;
}

}  // namespace deq
