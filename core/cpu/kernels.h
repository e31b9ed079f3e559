#pragma once

#include <memory>

#include "core/backend.h"
#include "core/cpu/options.h"

// One factory per op family of the CPU backend; each lives in core/cpu/<family>*.cpp. A factory may assume that the
// types satisfy the op's shape rule. Errors: an element type or attribute without a kernel, through `no_kernel`.

namespace deq::cpu {

/// Throws Error naming op, types and label; `why` says what is missing.
[[noreturn]] void no_kernel(const KernelRequest& request, std::string_view why);

/// Constant, Unary, Binary, Affine, Copy.
std::unique_ptr<Kernel> lower_elementwise(const KernelRequest& request);
/// Reshape, Transpose, Concat, Slice, Pad, BroadcastTo, Sum.
std::unique_ptr<Kernel> lower_shape(const KernelRequest& request);
/// GroupNorm, WeightNorm, GroupNormGrad, BatchNorm, BatchNormGrad.
std::unique_ptr<Kernel> lower_norm(const KernelRequest& request);
/// Resize, ResizeGrad, UpsampleSum, AvgPool, AvgPoolGrad, MaxPool, WinnerGather, WinnerScatter.
std::unique_ptr<Kernel> lower_image(const KernelRequest& request);
/// Gather, GatherGrad, OneHot, SoftmaxCrossEntropy.
std::unique_ptr<Kernel> lower_loss(const KernelRequest& request);
/// Random.
std::unique_ptr<Kernel> lower_random(const KernelRequest& request);
/// SgdUpdate, AdamUpdate.
std::unique_ptr<Kernel> lower_optimizer(const KernelRequest& request);
/// Conv2d, Conv2dInputGrad, Conv2dWeightGrad, PackWeights.
std::unique_ptr<Kernel> lower_conv(const KernelRequest& request, const CpuOptions& options);
/// Bytes that `pack` produces from `weight`, or 0 when the convolution takes the weights as they are.
std::int64_t packed_conv_weight_bytes(const PackWeights& pack, const TensorType& weight, const CpuOptions& options);
/// True when both packings of `weight` have the same layout.
bool packs_conv_alike(const PackWeights& a, const PackWeights& b, const TensorType& weight, const CpuOptions& options);
/// ConvBlock of bf16 convolutions.
std::unique_ptr<Kernel> lower_conv_block(const KernelRequest& request);
bool has_conv_block(const ConvBlock& block, const TensorType& x, const TensorType& first, const TensorType& second);
/// MatMul.
std::unique_ptr<Kernel> lower_matmul(const KernelRequest& request);

}  // namespace deq::cpu
