#include "core/cuda/direct_kernels.h"
#include "core/cuda/kernels.h"
#include "core/cuda/launcher.h"

namespace deq::cuda {

std::unique_ptr<Kernel> direct_conv_on(const Stream& stream, const KernelRequest& request) {
  return lower_direct_conv(request, Launcher(stream));
}

std::unique_ptr<Kernel> direct_product_on(const Stream& stream, const KernelRequest& request) {
  return lower_direct_product(request, Launcher(stream), std::get<MatMul>(request.op));
}

}  // namespace deq::cuda
