#include "core/cpu/image.h"

#include "core/cpu/bound_kernel.h"
#include "core/cpu/kernels.h"

namespace deq::cpu {

namespace {

std::unique_ptr<Kernel> lower_used_image(const KernelRequest& request) {
  if (const auto* op = std::get_if<Resize>(&request.op)) return lower_resize(request, *op);
  if (const auto* op = std::get_if<ResizeGrad>(&request.op)) return lower_resize_grad(request, *op);
  if (const auto* op = std::get_if<UpsampleSum>(&request.op)) return lower_upsample_sum(request, *op);
  if (const auto* op = std::get_if<AvgPool>(&request.op)) return lower_avg_pool(request, *op);
  if (const auto* op = std::get_if<AvgPoolGrad>(&request.op)) return lower_avg_pool_grad(request, *op);
  if (const auto* op = std::get_if<MaxPool>(&request.op)) return lower_max_pool(request, *op);
  if (std::holds_alternative<WinnerGather>(request.op)) return lower_winner_gather(request);
  if (std::holds_alternative<WinnerScatter>(request.op)) return lower_winner_scatter(request);
  no_kernel(request, "not an image op");
}

}  // namespace

std::unique_ptr<Kernel> lower_image(const KernelRequest& request) {
  if (request.inputs[0].dtype != DType::f32 || request.outputs[0].dtype != DType::f32) {
    no_kernel(request, "images must be f32");
  }
  for (std::size_t i = 0; i < request.outputs.size(); ++i) {
    if (request.output_used[i] && request.outputs[i].shape.elements() > 0) return lower_used_image(request);
  }
  return make_idle_kernel();
}

}  // namespace deq::cpu
