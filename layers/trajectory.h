#pragma once

#include <cstdint>
#include <vector>

#include "layers/equilibrium.h"

namespace deq {

/// How much the states of a solve count in a loss, first to last.
enum class StateWeights : std::uint8_t {
  geometric,  ///< decay^(n - 1 - k)
  linear,     ///< 1 - 0.9 (n - 1 - k) / n
  constant,   ///< 1
};

/// Weights of n states, n >= 1; the last one's is 1. `decay`, in (0, 1], is read by `geometric` alone.
std::vector<double> state_weights(int states, StateWeights kind = StateWeights::geometric, double decay = 0.8);

/// A solve cut into slices, one for each entry of `slices`: each begins where the one before ended and has a policy, so
/// a step limit and a gradient, of its own. Supervising all of them (fixed-point correction) makes early iterates good,
/// so that a solve may be stopped early.
/// Source: S. Bai, Z. Geng, Y. Savani, J. Z. Kolter, Deep Equilibrium Optical Flow Estimation, CVPR 2022.
///
///   const auto traces = trace_trajectory(f, z0, {{.policy = first}, {.policy = second}});
///   std::vector<Value> losses;
///   for (const EquilibriumTrace& trace : traces) losses.push_back(loss_of(trace.values));
///   const Value loss = corrected_loss(losses, state_weights(2));
///
/// Errors: no slice; as trace_equilibrium.
std::vector<EquilibriumTrace> trace_trajectory(const StateFunction& f, const std::vector<Value>& z0,
                                               const std::vector<EquilibriumOptions>& slices);

/// sum_k weights[k] losses[k]. Errors: none, or another number of weights.
Value corrected_loss(const std::vector<Value>& losses, const std::vector<double>& weights);

}  // namespace deq
