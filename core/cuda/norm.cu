#include "core/cuda/kernels.h"
#include "core/cuda/launcher.h"
#include "core/cuda/norm_kernels.h"

namespace deq::cuda {

std::unique_ptr<Kernel> norm_on(const Stream& stream, const KernelRequest& request) {
  return lower_norm(request, Launcher(stream));
}

}  // namespace deq::cuda
