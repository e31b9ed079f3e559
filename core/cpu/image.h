#pragma once

#include <memory>

#include "core/backend.h"

// Lowering of the image ops by kind, for lower_image. All images are f32 [B,H,W,C]; loops run along C.

namespace deq::cpu {

std::unique_ptr<Kernel> lower_resize(const KernelRequest& request, const Resize& op);
std::unique_ptr<Kernel> lower_resize_grad(const KernelRequest& request, const ResizeGrad& op);
std::unique_ptr<Kernel> lower_upsample_sum(const KernelRequest& request, const UpsampleSum& op);
std::unique_ptr<Kernel> lower_avg_pool(const KernelRequest& request, const AvgPool& op);
std::unique_ptr<Kernel> lower_avg_pool_grad(const KernelRequest& request, const AvgPoolGrad& op);
std::unique_ptr<Kernel> lower_max_pool(const KernelRequest& request, const MaxPool& op);
std::unique_ptr<Kernel> lower_winner_gather(const KernelRequest& request);
std::unique_ptr<Kernel> lower_winner_scatter(const KernelRequest& request);

}  // namespace deq::cpu
