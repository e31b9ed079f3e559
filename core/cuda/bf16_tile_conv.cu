#include "core/cuda/kernels.h"
#include "core/cuda/launcher.h"
#include "core/cuda/tile_conv_kernel.h"

namespace deq::cuda {

std::unique_ptr<Kernel> bf16_tile_conv_on(const Stream& stream, const ConvTiles& cut, bool is_packed) {
  return std::make_unique<TileConvKernel<Bf16Tiles, Launcher>>(Launcher(stream), cut, is_packed);
}

}  // namespace deq::cuda
