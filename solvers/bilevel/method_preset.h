#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "solvers/bilevel/esj.h"
#include "solvers/bilevel/hypergradient.h"

namespace deq {

/// How many conjugate gradient iterations a hypergradient may take at tolerance eps.
enum class AdjointBudget : std::uint8_t {
  full,     ///< 10000: the tolerance decides
  limited,  ///< max(5, floor(1 / (100 sqrt(eps))))
  refine,   ///< floor(1 / (100 sqrt(eps))): none until eps is 1e-4
};
/// The number itself.
int adjoint_iterations(AdjointBudget budget, double tolerance);

/// Hypergradients from an implicit derivative.
struct ImplicitMethod {
  HypergradientMethod estimate;
  AdjointBudget budget = AdjointBudget::full;  ///< for estimates by conjugate gradients
  bool is_outer_aware = false;                 ///< extra pairs with period (points - outer iteration)
  int final_pairs = 0;                         ///< extra pairs where the inner solve ends, if outer-aware
};
/// Values of F at equally spaced, or at random, lambda.
struct GridSearch {};
struct RandomSearch {};

/// A method of `deq tune` by name, with the memory and the tolerance factor of SHINE's experiments.
struct MethodPreset {
  std::string name;
  std::variant<ImplicitMethod, EsjOptions, GridSearch, RandomSearch> method;
  int memory = 30;
  double tolerance_factor = 0.78;
};

/// hoag, hoag-limited, shine, shine-opa, shine-refine, jfb, grid, random, and with an optional number -K: shine-probes,
/// nystrom, esj, unrolled. Empty for other names.
std::optional<MethodPreset> method_preset(std::string_view name);

/// "hoag, hoag-limited, ...", for messages.
std::string_view method_preset_names();

}  // namespace deq
