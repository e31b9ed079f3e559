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
/// Inputs: y blocks (f applied once at z*), then z* blocks. Outputs: y blocks. Its derivative replaces the cotangent w
/// of the outputs by u = (I - J^T)^-1 w (LinearSolve), J = dy/dz*, and passes u to y. `solve` made z*: an Equilibrium,
/// or a LinearSolve, whose f is the affine map that it solves.
struct ImplicitGradient {
  NodeId solve = 0;
  bool operator==(const ImplicitGradient&) const = default;
};

/// The two linear systems at a fixed point, J = df/dz at z*.
enum class ImplicitSystem : std::uint8_t {
  adjoint,  ///< (I - J^T) u = w: reverse mode
  tangent,  ///< (I - J) u = w: forward mode, and the derivative of adjoint solves
};
/// Inputs: w blocks, then one z* block to order it after the solve. Outputs: u blocks. `region` maps v to J^T v at z*
/// (adjoint) or to J v (tangent); `equilibrium` names the node whose estimate is consulted.
struct LinearSolve {
  NodeId equilibrium = 0;
  RegionId region = 0;
  ImplicitSystem system = ImplicitSystem::adjoint;
  bool is_leaf = false;  ///< its derivative enters through an ImplicitGradient, as that of an Equilibrium does
  bool operator==(const LinearSolve&) const = default;
};

/// Inputs: a, b of one type. Output: the bytes of b, with the derivative of a. That is z* in the place of f(z*).
struct StandIn {
  bool waits = false;  ///< readers run after a is there
  bool operator==(const StandIn&) const = default;
};

}  // namespace deq
