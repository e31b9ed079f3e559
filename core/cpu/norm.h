#pragma once

#include <memory>

#include "core/backend.h"

// Lowering of each normalisation, for lower_norm.

namespace deq::cpu {

/// One task a sample: statistics in one pass, then y in a second one while the sample is in cache.
/// y may lie exactly over x, addend or residual.
std::unique_ptr<Kernel> lower_group_norm(const KernelRequest& request, const GroupNorm& op);
/// One task a sample. dx may lie exactly over x or g.
std::unique_ptr<Kernel> lower_group_norm_grad(const KernelRequest& request, const GroupNormGrad& op);
/// One task a row of the weight.
std::unique_ptr<Kernel> lower_weight_norm(const KernelRequest& request);
/// Statistics by fixed blocks of rows, summed in order. y may lie exactly over x.
std::unique_ptr<Kernel> lower_batch_norm(const KernelRequest& request, const BatchNorm& op);
/// As lower_batch_norm. dx may lie exactly over x or g.
std::unique_ptr<Kernel> lower_batch_norm_grad(const KernelRequest& request, const BatchNormGrad& op);

}  // namespace deq::cpu
