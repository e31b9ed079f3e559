#pragma once

#include <memory>

#include "core/backend.h"

namespace deq::cpu {

/// True when the processor multiplies bf16 (avx512_bf16).
[[nodiscard]] bool multiplies_bf16();

/// `inner`, a convolution in f32 or the packing of its weights, on operands rounded to bf16: what a processor with bf16
/// computes, up to the order of its f32 sums, for those that have none. Slower than `inner`.
/// @param request  what `inner` was made from; f32 operands are rounded, packed weights were when they were packed
[[nodiscard]] std::unique_ptr<Kernel> with_rounded_operands(const KernelRequest& request,
                                                            std::unique_ptr<Kernel> inner);

}  // namespace deq::cpu
