#pragma once

#include <memory>

#include "core/backend.h"
#include "core/cpu/conv_shape.h"
#include "core/cpu/options.h"

// Convolutions that Winograd does not take, for lower_conv: through oneDNN, or without it as matrix products. As the
// functions of the same name in core/cpu/kernels.h.

namespace deq::cpu {

/// True when lower_plain_conv follows ConvAlgorithm::bf16; else it computes in f32 whatever the algorithm.
[[nodiscard]] bool plain_conv_multiplies_bf16();
std::unique_ptr<Kernel> lower_plain_conv(const KernelRequest& request, const CpuOptions& options);
std::int64_t packed_plain_conv_bytes(const PackWeights& pack, const TensorType& weight, const CpuOptions& options);
bool packs_plain_conv_alike(const PackWeights& a, const PackWeights& b, const TensorType& weight,
                            const CpuOptions& options);

}  // namespace deq::cpu
