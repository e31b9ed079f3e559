#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace deq {

/// How often a value changes. A node takes the maximum over its inputs, so work leaves a solver loop by itself:
/// parameters change once a step, images and dropout masks once a batch, z every iteration, the adjoint's v every
/// backward iteration.
enum class Rate : std::uint8_t { constant, step, batch, iterate, cotangent };

constexpr std::string_view name_of(Rate rate) {
  switch (rate) {
    case Rate::constant: return "constant";
    case Rate::step: return "step";
    case Rate::batch: return "batch";
    case Rate::iterate: return "iterate";
    case Rate::cotangent: return "cotangent";
  }
  return "?";
}

constexpr Rate faster(Rate a, Rate b) { return std::max(a, b); }

}  // namespace deq
