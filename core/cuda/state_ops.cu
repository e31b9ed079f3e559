#include "core/cuda/launcher.h"
#include "core/cuda/state_ops.h"
#include "core/error.h"

namespace deq::cuda {

std::unique_ptr<StateOps> make_state_ops(Stream& stream) {
  (void)stream;
  throw Error("cuda: this build has no solver operations for devices");
}

}  // namespace deq::cuda
