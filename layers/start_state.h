#pragma once

#include <cstdint>
#include <vector>

#include "core/graph.h"

namespace deq {

/// Where a solve begins.
enum class StartKind : std::uint8_t {
  zeros,
  gaussian,  ///< N(0, deviation^2), drawn anew for every batch
  mixed,     ///< each sample, all its states together, at a Gaussian or at zero
};

/// Beginning at other points than zero in training teaches f to lead to its fixed point from wherever it is: inference
/// that starts at the last frame's solution or at zero then needs no luck.
struct StartState {
  StartKind kind = StartKind::zeros;
  double deviation = 1.0;       ///< of the Gaussian, above 0
  double gaussian_share = 0.5;  ///< of the samples of `mixed`, within (0, 1)
  bool operator==(const StartState&) const = default;
};

/// Starting states of the given shapes [B, ..]. What is drawn depends on the graph's seed input alone, so on the seed
/// and the number of the step in training: a resumed run draws what an uninterrupted one does.
///
///   const std::vector<Value> z0 = starting_states(graph, {x.shape()}, {.kind = StartKind::mixed});
///   const Value z = equilibrium(cell, x, z0[0], {.policy = policy});
///
/// Errors: no state, batches of different sizes, deviation or share outside their range.
std::vector<Value> starting_states(Graph& graph, const std::vector<Shape>& shapes, const StartState& start = {});

}  // namespace deq
