#include "core/cuda/elementwise_kernels.h"
#include "core/cuda/kernels.h"
#include "core/cuda/launcher.h"

namespace deq::cuda {

std::unique_ptr<Kernel> elementwise_on(const Stream& stream, const KernelRequest& request) {
  return lower_elementwise(request, Launcher(stream));
}

}  // namespace deq::cuda
