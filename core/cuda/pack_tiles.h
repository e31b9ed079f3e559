#pragma once

#include "core/cuda/conv_tiles.h"
#include "core/cuda/lowering.h"
#include "core/cuda/tensor_core.h"

namespace deq::cuda {

/// Packed weights [chunk, tap, depth of the chunk, channel tile, 64] from plain [Cout,Cin,Kh,Kw], as blocks read them:
/// of every tile what tile_offset says, rounded; zero where there is no such channel.
struct PackTiles {
  ConvTiles cut;
  const float* w;
  float* packed;

  DEQ_HOST_DEVICE void operator()(Index i) const {
    const Index own = i % kTileElements, tile = i / kTileElements, all = cut.tiles * cut.columns;
    const Index taps = cut.kernel_h * cut.kernel_w, whole = cut.chunk / 8;
    const Index row = tile / all, first = row / (taps * whole) * whole;
    const Index left = cut.depth - first, steps = left < whole ? left : whole;
    const Index inner = row - first * taps, tap = inner / steps;
    const Index lane = own / 2, in = (first + inner - tap * steps) * 8 + lane % 4 + own % 2 * 4;
    const Index out = (tile - row * all) * 8 + lane / 4;
    if (in >= cut.in || out >= cut.out)
      packed[i] = 0;
    else
      packed[i] = rounded_to_tf32(cut.is_flipped ? w[(in * cut.out + out) * taps + taps - 1 - tap]
                                                 : w[(out * cut.in + in) * taps + tap]);
  }
};

/// PackWeights for `cut`.
template <class Launcher>
std::unique_ptr<Kernel> make_pack_tiles(const Launcher& launcher, const ConvTiles& cut) {
  return make_kernel([=](const Operands& bound) {
    launcher.for_each(cut.packed_elements(),
                      PackTiles{cut, bound.in(0), reinterpret_cast<float*>(bound.out<std::uint8_t>(0))});
  });
}

}  // namespace deq::cuda
