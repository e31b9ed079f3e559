#pragma once

#include "core/cpu/conv_shape.h"

// The gradient in the input of a convolution of stride 1 is a convolution too: of the gradient in the result, by the
// weights turned by half a turn with their channels exchanged.

namespace deq::cpu {

/// True when the gradient in the input is one convolution that ConvShape can say.
[[nodiscard]] bool can_turn(const ConvShape& shape);
/// The convolution that is the input gradient of `shape`: of [B,H',W',Cout] by [Cin,Cout,Kh,Kw], giving [B,H,W,Cin].
[[nodiscard]] ConvShape turned(const ConvShape& shape);
/// weight [Cout,Cin,Kh,Kw] of `shape` -> to [Cin,Cout,Kh,Kw], which turned(shape) multiplies with.
void turn_weights(const ConvShape& shape, const float* weight, float* to);

}  // namespace deq::cpu
