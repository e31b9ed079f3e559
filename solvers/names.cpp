#include "solvers/names.h"

#include <charconv>

#include "core/error.h"
#include "solvers/loop.h"

namespace deq {
namespace {

constexpr std::string_view kEstimators =
    "jfb, shine, shine-fallback, gdeq, shine-refine-K, jfb-refine-K, limited-K, exact, neumann-K, nystrom-K, "
    "phantom-K, unrolled-K, adjoint-broyden, adjoint-broyden-opa (K: a number of steps)";
constexpr std::string_view kBackwardMethods = "broyden, broyden-lowrank, anderson, picard, gmres, bicgstab";
constexpr int kMostSteps = 10000;

/// K of "`prefix`K"; 0 when the name does not begin so.
int steps_after(const std::string& name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return 0;
  int steps = 0;
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + prefix.size(), end, steps);
  require(error == std::errc{} && stop == end && steps >= 1 && steps <= kMostSteps, "estimator", "'", name,
          "' needs a number of steps from 1 to ", kMostSteps, " after '", prefix, "', e.g. ", prefix, "5");
  return steps;
}

struct AdjointNamer {
  std::string operator()(const JacobianFree&) const { return "jfb"; }
  std::string operator()(const SharedInverse& shared) const {
    return shared.max_gain > 0.0 ? "shine-fallback" : "shine";
  }
  std::string operator()(const Refined& refined) const {
    switch (refined.start) {
      case AdjointStart::zero: return concat("limited-", refined.steps);
      case AdjointStart::identity: return concat("jfb-refine-", refined.steps);
      case AdjointStart::shared: return concat("shine-refine-", refined.steps);
    }
    return "?";
  }
  std::string operator()(const FullAdjoint&) const { return "exact"; }
  std::string operator()(const KrylovAdjoint& krylov) const {
    const bool is_limited = krylov.start == AdjointStart::zero && krylov.tolerance.value == 0.0;
    return is_limited ? concat("limited-", krylov.max_steps) : "exact";
  }
  std::string operator()(const NeumannSeries& series) const { return concat("neumann-", series.terms); }
  std::string operator()(const NystromColumns& nystrom) const { return concat("nystrom-", nystrom.columns); }
  std::string operator()(const Phantom& phantom) const {
    return concat(phantom.damping == 1.0 ? "unrolled-" : "phantom-", phantom.steps);
  }
};

bool is_solver_name(const std::string& name) {
  return name == "picard" || name == "anderson" || name == "broyden" || name == "broyden-lowrank";
}

/// The options with their solver replaced.
struct MethodSetter {
  const std::string& method;

  [[nodiscard]] bool is_krylov() const { return method == "gmres" || method == "bicgstab"; }
  [[nodiscard]] KrylovMethod krylov() const { return method == "gmres" ? KrylovMethod::gmres : KrylovMethod::bicgstab; }
  AdjointOptions operator()(const FullAdjoint& full) const {
    if (is_krylov())
      return KrylovAdjoint{.method = krylov(),
                           .max_steps = full.solver.max_steps,
                           .tolerance = full.solver.tolerance,
                           .start = full.start};
    FullAdjoint out = full;
    out.solver.method = method_from_name(method);
    return out;
  }
  AdjointOptions operator()(const Refined& refined) const {
    if (refined.start != AdjointStart::zero) return refined;
    if (is_krylov())
      return KrylovAdjoint{
          .method = krylov(), .max_steps = refined.steps, .tolerance = {.value = 0.0}, .start = refined.start};
    Refined out = refined;
    out.method = method_from_name(method);
    return out;
  }
  template <class Other>
  AdjointOptions operator()(const Other& other) const {
    return other;
  }
};

}  // namespace

AdjointOptions adjoint_from_name(const std::string& name) {
  if (name == "jfb") return JacobianFree{};
  if (name == "shine" || name == "gdeq") return SharedInverse{};
  if (name == "shine-fallback") return SharedInverse{.max_gain = kShineGain};
  if (name == "adjoint-broyden" || name == "adjoint-broyden-opa") return SharedInverse{};
  if (name == "exact") return FullAdjoint{};
  if (const int steps = steps_after(name, "shine-refine-"); steps > 0)
    return Refined{.start = AdjointStart::shared, .steps = steps};
  if (const int steps = steps_after(name, "jfb-refine-"); steps > 0)
    return Refined{.start = AdjointStart::identity, .steps = steps};
  if (const int steps = steps_after(name, "limited-"); steps > 0)
    return Refined{.start = AdjointStart::zero, .steps = steps};
  if (const int terms = steps_after(name, "neumann-"); terms > 0) return NeumannSeries{.terms = terms};
  if (const int columns = steps_after(name, "nystrom-"); columns > 0) return NystromColumns{.columns = columns};
  if (const int steps = steps_after(name, "phantom-"); steps > 0) return Phantom{.steps = steps};
  if (const int steps = steps_after(name, "unrolled-"); steps > 0) return Phantom{.steps = steps, .damping = 1.0};
  throw RequestError(concat("estimator: '", name, "' is none of ", kEstimators));
}

SolverMethod forward_method_of(const std::string& estimator, const SolverMethod& chosen, int memory) {
  if (estimator == "gdeq" && !std::holds_alternative<Broyden>(chosen)) return Broyden{.memory = memory};
  const bool is_outer_aware = estimator == "adjoint-broyden-opa";
  if (!is_outer_aware && estimator != "adjoint-broyden") return chosen;
  const auto* const given = std::get_if<AdjointBroyden>(&chosen);
  AdjointBroyden out = given != nullptr ? *given : AdjointBroyden{.memory = memory};
  if (!is_outer_aware) out.outer_every = 0;
  if (is_outer_aware && out.outer_every == 0) out.outer_every = kOuterEvery;
  return out;
}

bool is_adjoint_name(const std::string& name) {
  try {
    (void)adjoint_from_name(name);
    return true;
  } catch (const RequestError&) {
    return false;
  }
}

std::string name_of(const AdjointOptions& options) { return std::visit(AdjointNamer{}, options); }

AdjointOptions with_backward_method(const AdjointOptions& options, const std::string& method) {
  const MethodSetter setter{method};
  require(setter.is_krylov() || is_solver_name(method), "solver", "'", method, "' is none of ", kBackwardMethods);
  return std::visit(setter, options);
}

SolverMethod method_from_name(const std::string& name) {
  if (name == "picard") return Picard{};
  if (name == "anderson") return Anderson{};
  if (name == "broyden") return Broyden{};
  if (name == "broyden-lowrank") return Broyden{.form = BroydenForm::low_rank};
  if (name == "adjoint-broyden") return AdjointBroyden{};
  if (name == "newton-krylov") return NewtonKrylov{};
  throw RequestError(concat("solver: '", name,
                            "' is none of picard, anderson, broyden, broyden-lowrank, adjoint-broyden, newton-krylov"));
}

std::string describe(const SolverOptions& options) {
  const std::string_view mode = options.tolerance.mode == NormMode::relative ? "relative" : "absolute";
  return concat(name_of(options.method), "(max_steps=", options.max_steps, ", ",
                options.tolerance.value == 0.0 ? std::string("fixed") : concat(mode, " ", options.tolerance.value),
                options.time_budget_ms > 0.0 ? concat(", ", options.time_budget_ms, " ms") : std::string(), ")");
}

}  // namespace deq
