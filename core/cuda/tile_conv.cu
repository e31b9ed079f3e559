#include "core/cuda/kernels.h"
#include "core/cuda/launcher.h"
#include "core/cuda/tile_conv_kernel.h"

namespace deq::cuda {

std::unique_ptr<Kernel> tile_conv_on(const Stream& stream, const ConvTiles& cut, bool is_packed) {
  if (cut.precision == CudaPrecision::bf16) return bf16_tile_conv_on(stream, cut, is_packed);
  return std::make_unique<TileConvKernel<Tf32Tiles, Launcher>>(Launcher(stream), cut, is_packed);
}

std::unique_ptr<Kernel> pack_tiles_on(const Stream& stream, const ConvTiles& cut) {
  return make_pack_tiles(Launcher(stream), cut);
}

}  // namespace deq::cuda
