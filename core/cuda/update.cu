#include "core/cuda/kernels.h"
#include "core/cuda/launcher.h"
#include "core/cuda/random_kernels.h"
#include "core/cuda/update_kernels.h"

namespace deq::cuda {

std::unique_ptr<Kernel> random_on(const Stream& stream, const KernelRequest& request) {
  return lower_random(request, Launcher(stream), std::get<Random>(request.op));
}

std::unique_ptr<Kernel> update_on(const Stream& stream, const KernelRequest& request) {
  return lower_update(request, Launcher(stream));
}

}  // namespace deq::cuda
