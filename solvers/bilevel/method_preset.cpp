#include "solvers/bilevel/method_preset.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace deq {
namespace {

// Pairs kept, as in the published experiments: two rows of HOAG's solver, more where the estimate is shared.
constexpr int kHoagMemory = 10;
constexpr int kSharedMemory = 30;
constexpr int kAwareMemory = 60;
constexpr int kFinalPairs = 5;
constexpr double kHoagFactor = 0.9;
constexpr double kSharedFactor = 0.78;

MethodPreset implicit(std::string_view name, const ImplicitMethod& method, int memory, double factor) {
  return {.name = std::string(name), .method = method, .memory = memory, .tolerance_factor = factor};
}

/// K of "PREFIX-K" or `otherwise` for "PREFIX"; empty for anything else.
std::optional<int> counted(std::string_view name, std::string_view prefix, int otherwise) {
  if (!name.starts_with(prefix)) return std::nullopt;
  std::string_view rest = name.substr(prefix.size());
  if (rest.empty()) return otherwise;
  if (!rest.starts_with('-')) return std::nullopt;
  rest.remove_prefix(1);
  int count = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), count);
  constexpr int kMost = 100000;
  const bool is_number = error == std::errc() && end == rest.data() + rest.size();
  return is_number && count >= 1 && count <= kMost ? std::optional(count) : std::nullopt;
}

std::optional<MethodPreset> counted_preset(std::string_view name) {
  if (const auto probes = counted(name, "shine-probes", 5))
    return implicit(name, {.estimate = RefinedByProbes{.probes = *probes}}, kSharedMemory, kSharedFactor);
  if (const auto columns = counted(name, "nystrom", 20))
    return implicit(name, {.estimate = NystromAdjoint{.columns = *columns}}, kSharedMemory, kSharedFactor);
  if (const auto steps = counted(name, "unrolled", 20))
    return implicit(name, {.estimate = UnrolledAdjoint{.steps = *steps}}, kSharedMemory, kSharedFactor);
  if (const auto directions = counted(name, "esj", 10)) {
    MethodPreset out{.name = std::string(name), .method = EsjOptions{.directions = *directions}};
    return out;
  }
  return std::nullopt;
}

}  // namespace

int adjoint_iterations(AdjointBudget budget, double tolerance) {
  constexpr int kFull = 10000;
  const double steps = std::min(static_cast<double>(kFull), std::floor(1.0 / (100.0 * std::sqrt(tolerance))));
  switch (budget) {
    case AdjointBudget::full: return kFull;
    case AdjointBudget::limited: return std::max(5, static_cast<int>(steps));
    case AdjointBudget::refine: return static_cast<int>(steps);
  }
  return kFull;
}

std::optional<MethodPreset> method_preset(std::string_view name) {
  if (name == "hoag") return implicit(name, {.estimate = ExactAdjoint{}}, kHoagMemory, kHoagFactor);
  if (name == "hoag-limited")
    return implicit(name, {.estimate = ExactAdjoint{}, .budget = AdjointBudget::limited}, kHoagMemory, kHoagFactor);
  if (name == "shine") return implicit(name, {.estimate = SharedInverse{}}, kSharedMemory, kSharedFactor);
  if (name == "shine-opa")
    return implicit(name, {.estimate = SharedInverse{}, .is_outer_aware = true, .final_pairs = kFinalPairs},
                    kAwareMemory, kSharedFactor);
  if (name == "shine-refine")
    return implicit(name, {.estimate = RefinedByCg{}, .budget = AdjointBudget::refine}, kSharedMemory, kSharedFactor);
  if (name == "jfb") return implicit(name, {.estimate = JacobianFree{}}, kSharedMemory, kSharedFactor);
  if (name == "grid") return MethodPreset{.name = "grid", .method = GridSearch{}};
  if (name == "random") return MethodPreset{.name = "random", .method = RandomSearch{}};
  return counted_preset(name);
}

std::string_view method_preset_names() {
  return "hoag, hoag-limited, shine, shine-opa, shine-refine, shine-probes-K, jfb, nystrom-K, esj-K, unrolled-K, grid, "
         "random";
}

}  // namespace deq
