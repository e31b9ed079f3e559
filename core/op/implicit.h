#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "core/fixed_point.h"

namespace deq {

using NodeId = std::uint32_t;
using RegionId = std::uint32_t;

/// Regions that a forward solver evaluates beside f, at f's current states; built where its policy needs them.
struct SolverRegions {
  std::optional<RegionId> pullback;        ///< states v, results J(z)^T v
  std::optional<RegionId> pushforward;     ///< states v, results J(z) v
  std::optional<RegionId> outer_gradient;  ///< no states, results dL/dz
  bool operator==(const SolverRegions&) const = default;
};

/// Solves z = f(z): `region` holds f's states and results. Inputs: z0 blocks. Outputs: z* blocks (best iterate a
/// sample). Values of the outer graph that f reads are found by the compiler. z* is a leaf: gradients enter through
/// ImplicitGradient.
struct Equilibrium {
  RegionId region = 0;
  std::shared_ptr<const EquilibriumPolicy> policy;
  SolverRegions beside = {};
  bool operator==(const Equilibrium&) const = default;
};
/// Inputs: y blocks (f applied once at z*), then z* blocks. Outputs: y blocks, or z* blocks when `returns_iterate`.
/// Its derivative replaces the cotangent w of the outputs by u = (I - J^T)^-1 w (AdjointSolve) and passes u to y.
struct ImplicitGradient {
  NodeId equilibrium = 0;
  bool returns_iterate = false;
  bool operator==(const ImplicitGradient&) const = default;
};
/// Inputs: w blocks, then one z* block to order it after the solve. Outputs: u blocks. `region` maps v to J^T v at z*;
/// `equilibrium` names the node whose estimate is consulted.
struct AdjointSolve {
  NodeId equilibrium = 0;
  RegionId region = 0;
  bool operator==(const AdjointSolve&) const = default;
};

}  // namespace deq
