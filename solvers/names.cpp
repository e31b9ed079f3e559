#include "solvers/names.h"

#include <charconv>

#include "core/error.h"
#include "solvers/loop.h"

namespace deq {
namespace {

constexpr std::string_view kEstimators =
    "jfb, shine, shine-fallback, shine-refine-K, jfb-refine-K, limited-K, exact (K: a number of steps)";
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
};

}  // namespace

AdjointOptions adjoint_from_name(const std::string& name) {
  if (name == "jfb") return JacobianFree{};
  if (name == "shine") return SharedInverse{};
  if (name == "shine-fallback") return SharedInverse{.max_gain = kShineGain};
  if (name == "exact") return FullAdjoint{};
  if (const int steps = steps_after(name, "shine-refine-"); steps > 0)
    return Refined{.start = AdjointStart::shared, .steps = steps};
  if (const int steps = steps_after(name, "jfb-refine-"); steps > 0)
    return Refined{.start = AdjointStart::identity, .steps = steps};
  if (const int steps = steps_after(name, "limited-"); steps > 0)
    return Refined{.start = AdjointStart::zero, .steps = steps};
  throw RequestError(concat("estimator: '", name, "' is none of ", kEstimators));
}

std::string name_of(const AdjointOptions& options) { return std::visit(AdjointNamer{}, options); }

SolverMethod method_from_name(const std::string& name) {
  if (name == "picard") return Picard{};
  if (name == "anderson") return Anderson{};
  if (name == "broyden") return Broyden{};
  if (name == "broyden-lowrank") return Broyden{.form = BroydenForm::low_rank};
  throw RequestError(concat("solver: '", name, "' is none of picard, anderson, broyden, broyden-lowrank"));
}

std::string describe(const SolverOptions& options) {
  const std::string_view mode = options.tolerance.mode == NormMode::relative ? "relative" : "absolute";
  return concat(name_of(options.method), "(max_steps=", options.max_steps, ", ",
                options.tolerance.value == 0.0 ? std::string("fixed") : concat(mode, " ", options.tolerance.value),
                options.time_budget_ms > 0.0 ? concat(", ", options.time_budget_ms, " ms") : std::string(), ")");
}

}  // namespace deq
