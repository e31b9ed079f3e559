#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "core/cpu/conv_shape.h"

namespace deq {

/// What is left to oneDNN when it alone computes: direct f32, Winograd where it has it and direct f32 elsewhere, or
/// operands in bf16.
enum class ConvYardstick : std::uint8_t { direct, winograd, bf16 };

/// Milliseconds oneDNN alone needs for the forward passes of all `shapes` in the layouts it likes best, weights packed
/// and operands in their type before: the yardstick against which a machine's f and steps are compared in one and the
/// same run. Median of `repeats` >= 1 rounds after one to warm up; 0 where this machine or oneDNN lacks the kind.
/// @param before_round  called before each; what it throws comes through
/// Errors: built without oneDNN.
double convolution_unit_ms(std::span<const ConvShape> shapes, int repeats, ConvYardstick yardstick,
                           const std::function<void()>& before_round);

}  // namespace deq
