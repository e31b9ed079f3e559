#include "solvers/bilevel/hypergradient.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/worse.h"
#include "solvers/bilevel/aimed_pairs.h"
#include "solvers/bilevel/lbfgs.h"
#include "solvers/bilevel/nystrom.h"
#include "solvers/bilevel/unrolled.h"
#include "solvers/bilevel/vector_ops.h"

namespace deq {
namespace {

constexpr std::string_view kWhere = "estimate_hypergradient";

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

void check_point(const BilevelProblem& problem, const HypergradientPoint& point, std::size_t q, std::size_t gradient) {
  const auto d = static_cast<std::size_t>(problem.inner_size()), p = static_cast<std::size_t>(problem.outer_size());
  check(point.w.size() == d && q == d, kWhere, "w has ", point.w.size(), " entries and q ", q, ", the problem has ", d);
  check(point.lambda.size() == p && gradient == p, kWhere, "lambda has ", point.lambda.size(),
        " entries and the gradient ", gradient, ", the problem has ", p);
}

const QuasiNewtonMemory& memory_of(const HypergradientPoint& point) {
  check(point.memory != nullptr, kWhere, "a shared estimate is asked for, but no memory is given");
  check(point.memory->size() == static_cast<std::int64_t>(point.w.size()), kWhere, "the memory is for ",
        point.memory->size(), " entries, w has ", point.w.size());
  return *point.memory;
}

/// Finds q ~ H^-1 c by each method but the unrolled one.
class AdjointSolve {
 public:
  AdjointSolve(BilevelProblem& problem, const HypergradientPoint& point, ConstVector c, Vector q,
               HypergradientReport& report)
      : problem_(problem), point_(point), c_(c), q_(q), report_(report) {}

  void operator()(const ExactAdjoint& method) { conjugate_gradient(method.solver); }
  void operator()(const JacobianFree& /*method*/) { copy(c_, q_); }
  void operator()(const SharedInverse& method) {
    memory_of(point_).apply(c_, q_);
    report_.is_fallback = method.max_gain > 0.0 && !(norm(q_) <= method.max_gain * norm(c_));
    if (report_.is_fallback) copy(c_, q_);
  }
  void operator()(const RefinedByCg& method) {
    memory_of(point_).apply(c_, q_);
    if (method.solver.max_iterations > 0) conjugate_gradient(method.solver);
  }
  void operator()(const RefinedByProbes& method) {
    check(method.probes >= 0 && method.scale > 0.0, kWhere, "probes is ", method.probes, " and scale ", method.scale,
          "; expected probes >= 0 and scale > 0");
    QuasiNewtonMemory memory = memory_of(point_);
    memory.grow(memory.capacity() + method.probes);
    if (method.probes == 0) return memory.apply(c_, q_);
    std::vector<double> slope(q_.size());
    inner_gradient(point_.w, slope);
    const AimReport aimed = aim_pairs(problem_, point_.w, point_.lambda, slope, c_,
                                      {.pairs = method.probes, .scale = method.scale}, memory, q_);
    report_.steps = aimed.taken;
    report_.count.inner_gradients += aimed.gradients();
    report_.residual = aimed.residual;
    if (aimed.is_refused) report_.status = AdjointStatus::negative_curvature;
  }
  void operator()(const NystromAdjoint& method) {
    const NystromInverse inverse(problem_, point_, method, report_.count);
    inverse.apply(c_, q_);
    report_.steps = inverse.columns();
  }

 private:
  void inner_gradient(ConstVector at, Vector gradient) {
    problem_.inner(at, point_.lambda, gradient);
    ++report_.count.inner_gradients;
  }
  void conjugate_gradient(const ConjugateGradientOptions& options) {
    const auto product = [this](ConstVector v, Vector out) {
      problem_.hessian_product(point_.w, point_.lambda, v, out);
    };
    const LinearReport solved = solve_conjugate_gradient(product, c_, q_, options);
    report_.status = solved.status;
    report_.steps = solved.iterations;
    report_.residual = solved.residual;
    report_.count.hessian_products += solved.operator_products;
  }

  BilevelProblem& problem_;
  const HypergradientPoint& point_;
  ConstVector c_;
  Vector q_;
  HypergradientReport& report_;
};

}  // namespace

std::string_view name_of(const HypergradientMethod& method) {
  return std::visit(Overloaded{[](const ExactAdjoint&) { return std::string_view("exact"); },
                               [](const SharedInverse&) { return std::string_view("shine"); },
                               [](const JacobianFree&) { return std::string_view("jfb"); },
                               [](const RefinedByCg&) { return std::string_view("refine"); },
                               [](const RefinedByProbes&) { return std::string_view("probes"); },
                               [](const NystromAdjoint&) { return std::string_view("nystrom"); },
                               [](const UnrolledAdjoint&) { return std::string_view("unrolled"); }},
                    method);
}

HypergradientReport estimate_hypergradient(BilevelProblem& problem, const HypergradientPoint& point,
                                           const HypergradientMethod& method, Vector q, Vector gradient) {
  check_point(problem, point, q.size(), gradient.size());
  if (const auto* unrolled = std::get_if<UnrolledAdjoint>(&method)) {
    std::vector<double> w(point.w.begin(), point.w.end()), unused_w(q.size()), unused(gradient.size());
    HypergradientReport report = differentiate_unrolled(problem, point.lambda, w, *unrolled, q, gradient);
    // The steps are the estimate's own: what is reported belongs to the w that was given.
    report.outer_value = problem.outer(point.w, point.lambda, unused_w, unused);
    ++report.count.outer_gradients;
    return report;
  }
  HypergradientReport report;
  std::vector<double> c(q.size()), mixed(gradient.size());
  report.outer_value = problem.outer(point.w, point.lambda, c, gradient);
  ++report.count.outer_gradients;
  std::visit(Overloaded{[](const UnrolledAdjoint&) {}, AdjointSolve(problem, point, c, q, report)}, method);
  problem.cross_product(point.w, point.lambda, q, mixed);
  ++report.count.cross_products;
  add_scaled(-1.0, mixed, gradient);
  if (!std::isfinite(norm(q)) || !std::isfinite(norm(gradient))) report.status = AdjointStatus::nonfinite;
  return report;
}

double measure_residual(BilevelProblem& problem, const HypergradientPoint& point, ConstVector q) {
  check_point(problem, point, q.size(), point.lambda.size());
  std::vector<double> c(q.size()), image(q.size()), gradient_lambda(point.lambda.size());
  problem.outer(point.w, point.lambda, c, gradient_lambda);
  problem.hessian_product(point.w, point.lambda, q, image);
  return relative_error(image, c);
}

double difference_hypergradient(BilevelProblem& problem, ConstVector w, ConstVector lambda, double radius,
                                double tolerance, Vector gradient, EvaluationCount& count) {
  check_point(problem, {.w = w, .lambda = lambda}, w.size(), gradient.size());
  check(radius > 0.0, "difference_hypergradient", "radius is ", radius, "; it must be positive");
  constexpr int kMemory = 30;
  const LbfgsOptions options{.tolerance = tolerance, .max_iterations = 10000};
  std::vector<double> moved(lambda.begin(), lambda.end()), at(w.size()), unused_w(w.size()), unused(lambda.size());
  double worst = 0.0;
  const auto value_at_solution = [&] {
    QuasiNewtonMemory memory(problem.inner_size(), kMemory, InitialInverse::scaled);
    copy(w, at);
    const InnerReport solved = minimise_lbfgs(problem, moved, at, memory, options);
    count += solved.count;
    ++count.outer_gradients;
    worst = worse(worst, solved.residual);
    return problem.outer(at, moved, unused_w, unused);
  };
  for (std::size_t i = 0; i < lambda.size(); ++i) {
    moved[i] = lambda[i] + radius;
    const double above = value_at_solution();
    moved[i] = lambda[i] - radius;
    gradient[i] = (above - value_at_solution()) / (2.0 * radius);
    moved[i] = lambda[i];
  }
  return worst;
}

}  // namespace deq
