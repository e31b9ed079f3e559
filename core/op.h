#pragma once

#include <string_view>
#include <variant>

#include "core/op/elementwise.h"
#include "core/op/image.h"
#include "core/op/implicit.h"
#include "core/op/linear.h"
#include "core/op/loss.h"
#include "core/op/norm.h"
#include "core/op/optimizer.h"
#include "core/op/shape.h"
#include "core/op/source.h"

// The closed set of operations. Each is an aggregate of attributes with defaulted equality, so two nodes with equal
// op and inputs are one node. An op lives in five places: attributes in core/op/, shape rule in core/infer*.cpp, kernel
// in each backend's family file, derivative in autodiff/rules/, a row in tests/op_cases.
//
// Images are [B,H,W,C]; convolution weights are [Cout,Cin/groups,Kh,Kw], the layout of the published weights.

namespace deq {

using Op =
    std::variant<Input, Constant, Random, Unary, Binary, Affine, Copy, Reshape, Transpose, Concat, Slice, Pad,
                 BroadcastTo, Sum, MatMul, Conv2d, Conv2dInputGrad, Conv2dWeightGrad, PackWeights, ConvBlock, GroupNorm,
                 GroupNormPair, WeightNorm, GroupNormGrad, BatchNorm, BatchNormGrad, Resize, ResizeGrad, UpsampleSum,
                 AvgPool, AvgPoolGrad, MaxPool, WinnerGather, WinnerScatter, Gather, GatherGrad, OneHot,
                 SoftmaxCrossEntropy, SgdUpdate, AdamUpdate, Equilibrium, ImplicitGradient, LinearSolve, StandIn>;

/// Name for messages and plans, e.g. "conv2d".
std::string_view name_of(const Op& op);

}  // namespace deq
