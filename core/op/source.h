#pragma once

#include <cstdint>

#include "core/rate.h"
#include "core/shape.h"

namespace deq {

/// A value supplied from outside. `id` makes every input a node of its own; the graph keeps its name.
struct Input {
  TensorType type;
  Rate rate = Rate::batch;
  std::uint32_t id = 0;
  bool operator==(const Input&) const = default;
};
/// Every element equal to `value`.
struct Constant {
  TensorType type;
  double value = 0;
  bool operator==(const Constant&) const = default;
};
enum class Distribution : std::uint8_t { bernoulli, normal };
/// Draws f32 `shape` from (seed i64[2], site, element index) alone: same bits on every backend and thread count.
/// bernoulli: 1/(1-p) with probability 1-p, else 0 (a dropout mask for drop probability p). normal: N(0,1).
/// `site` keeps equal draws of different layers apart.
struct Random {
  Distribution distribution = Distribution::bernoulli;
  double p = 0;
  std::uint32_t site = 0;
  Shape shape;
  bool operator==(const Random&) const = default;
};

}  // namespace deq
