#include "core/cuda/kernels.h"
#include "core/cuda/launcher.h"
#include "core/cuda/shape_kernels.h"
#include "core/cuda/sum_kernels.h"

namespace deq::cuda {

std::unique_ptr<Kernel> shape_on(const Stream& stream, const KernelRequest& request) {
  return lower_shape(request, Launcher(stream));
}

std::unique_ptr<Kernel> sum_on(const Stream& stream, const KernelRequest& request) {
  return lower_sum(request, Launcher(stream), std::get<Sum>(request.op));
}

}  // namespace deq::cuda
