#include "core/cuda/image_kernels.h"
#include "core/cuda/kernels.h"
#include "core/cuda/launcher.h"

namespace deq::cuda {

std::unique_ptr<Kernel> image_on(const Stream& stream, const KernelRequest& request) {
  return lower_image(request, Launcher(stream));
}

}  // namespace deq::cuda
