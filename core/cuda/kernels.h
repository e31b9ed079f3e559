#pragma once

#include <memory>

#include "core/backend.h"

// One factory per op family of the CUDA backend, launching on a stream; each lives in core/cuda/<family>.cu. Errors: an
// element type or attribute without a kernel.

namespace deq::cuda {

class Stream;
struct ConvTiles;

/// Constant, Unary, Binary, Affine, Copy.
std::unique_ptr<Kernel> elementwise_on(const Stream& stream, const KernelRequest& request);
/// Reshape, Transpose, Concat, Slice, Pad, BroadcastTo.
std::unique_ptr<Kernel> shape_on(const Stream& stream, const KernelRequest& request);
std::unique_ptr<Kernel> sum_on(const Stream& stream, const KernelRequest& request);
/// GroupNorm, WeightNorm, GroupNormGrad, BatchNorm, BatchNormGrad.
std::unique_ptr<Kernel> norm_on(const Stream& stream, const KernelRequest& request);
/// Resize, ResizeGrad, AvgPool, AvgPoolGrad, MaxPool, WinnerGather, WinnerScatter.
std::unique_ptr<Kernel> image_on(const Stream& stream, const KernelRequest& request);
/// Gather, GatherGrad, OneHot, SoftmaxCrossEntropy.
std::unique_ptr<Kernel> loss_on(const Stream& stream, const KernelRequest& request);
std::unique_ptr<Kernel> random_on(const Stream& stream, const KernelRequest& request);
/// SgdUpdate, AdamUpdate.
std::unique_ptr<Kernel> update_on(const Stream& stream, const KernelRequest& request);
/// Convolutions and products of our own, for shapes without an algorithm of the vendor.
std::unique_ptr<Kernel> direct_conv_on(const Stream& stream, const KernelRequest& request);
/// A convolution of our own on tensor cores (core/cuda/conv_tiles.h); `is_packed` tells how its weights come.
std::unique_ptr<Kernel> tile_conv_on(const Stream& stream, const ConvTiles& cut, bool is_packed);
/// The same where `cut` is for bf16.
std::unique_ptr<Kernel> bf16_tile_conv_on(const Stream& stream, const ConvTiles& cut, bool is_packed);
/// PackWeights for both.
std::unique_ptr<Kernel> pack_tiles_on(const Stream& stream, const ConvTiles& cut);
std::unique_ptr<Kernel> direct_product_on(const Stream& stream, const KernelRequest& request);

}  // namespace deq::cuda
