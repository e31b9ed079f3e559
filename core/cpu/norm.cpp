#include "core/cpu/norm.h"

#include "core/cpu/bound_kernel.h"
#include "core/cpu/kernels.h"

namespace deq::cpu {

std::unique_ptr<Kernel> lower_norm(const KernelRequest& request) {
  for (const TensorType& type : request.inputs) {
    if (type.dtype != DType::f32) no_kernel(request, "operands must be f32");
  }
  if (request.inputs[0].shape.elements() == 0) no_kernel(request, "nothing to normalise");
  if (const auto* op = std::get_if<GroupNorm>(&request.op)) return lower_group_norm(request, *op);
  if (std::holds_alternative<WeightNorm>(request.op)) return lower_weight_norm(request);
  if (const auto* op = std::get_if<GroupNormGrad>(&request.op)) return lower_group_norm_grad(request, *op);
  if (const auto* op = std::get_if<BatchNorm>(&request.op)) return lower_batch_norm(request, *op);
  if (const auto* op = std::get_if<BatchNormGrad>(&request.op)) return lower_batch_norm_grad(request, *op);
  no_kernel(request, "not a normalisation");
}

}  // namespace deq::cpu
