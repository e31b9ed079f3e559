#pragma once

#include "core/cuda/conv_tiles.h"
#include "core/cuda/lowering.h"
#include "core/cuda/tile_format.h"

namespace deq::cuda {

/// Packed weights [chunk, tap, depth of the chunk, channel tile, words of a tile] from plain [Cout,Cin,Kh,Kw], as
/// blocks read them; zero where there is no such channel.
struct PackTiles {
  ConvTiles cut;
  const float* w;
  float* packed;

  DEQ_HOST_DEVICE void operator()(Index i) const {
    const Index words = cut.words(), own = i % words, tile = i / words, all = cut.tiles * cut.columns;
    const Index taps = cut.kernel_h * cut.kernel_w, whole = cut.chunk / 8;
    const Index row = tile / all, first = row / (taps * whole) * whole;
    const Index left = cut.depth - first, steps = left < whole ? left : whole;
    const Index inner = row - first * taps, tap = inner / steps;
    const Index channel = (first + inner - tap * steps) * 8, result = (tile - row * all) * 8;
    const auto weight = [&](Index k, Index n) {
      const Index in = channel + k, out = result + n;
      if (in >= cut.in || out >= cut.out) return 0.0F;
      return cut.is_flipped ? w[(in * cut.out + out) * taps + taps - 1 - tap] : w[(out * cut.in + in) * taps + tap];
    };
    if (cut.precision == CudaPrecision::bf16)
      Bf16Tiles::pack(weight, own, packed[i]);
    else
      Tf32Tiles::pack(weight, own, packed[i]);
  }
};

/// PackWeights for `cut`.
template <class Launcher>
std::unique_ptr<Kernel> make_pack_tiles(const Launcher& launcher, const ConvTiles& cut) {
  return make_kernel([=](const Operands& bound) {
    launcher.for_each(cut.packed_words(),
                      PackTiles{cut, bound.in(0), reinterpret_cast<float*>(bound.out<std::uint8_t>(0))});
  });
}

}  // namespace deq::cuda
