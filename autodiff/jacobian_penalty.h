#pragma once

#include <span>

#include "core/graph.h"

namespace deq {

/// Hutchinson estimate of the mean squared Jacobian entry per state element,
///   (1/V) sum_v |eps_v^T J|^2 / (B N),  eps_v ~ N(0, I),  J = dy/dz at the given values,
/// a scalar [] that can be differentiated once more (z is a constant of it; parameters are reached through J alone).
///
/// `y` and `z` are the blocks of y = f(z*) traced on the z* values of an Equilibrium node, [B, ..] each; B N is the
/// number of elements of all blocks together. Draws come from the graph's seed, fresh ones each batch.
/// Source: S. Bai, V. Koltun, J. Z. Kolter, Stabilizing Equilibrium Models by Jacobian Regularization, ICML 2021.
/// @param probes  V >= 1
/// @throws Error  no blocks, block types of y and z differ, or probes < 1
Value jacobian_penalty(std::span<const Value> y, std::span<const Value> z, int probes = 1);

}  // namespace deq
