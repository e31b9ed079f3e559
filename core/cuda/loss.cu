#include "core/cuda/kernels.h"
#include "core/cuda/launcher.h"
#include "core/cuda/loss_kernels.h"

namespace deq::cuda {

std::unique_ptr<Kernel> loss_on(const Stream& stream, const KernelRequest& request) {
  return lower_loss(request, Launcher(stream));
}

}  // namespace deq::cuda
