#pragma once

#include <span>

#include "core/cpu/conv_shape.h"

namespace deq {

/// Milliseconds oneDNN alone needs for the forward passes of all `shapes` (f32, direct, the layouts it likes best,
/// weights packed before): the yardstick against which a machine's f and steps are compared in one and the same run.
/// Median of `repeats` >= 1 rounds after one to warm up. Errors: built without oneDNN.
double convolution_unit_ms(std::span<const ConvShape> shapes, int repeats);

}  // namespace deq
