#pragma once

#include "core/cuda/pack_tiles.h"
#include "core/cuda/tile_conv.h"

namespace deq::cuda {

template <class Format, Taps kTaps, class Launcher>
void run_tile_conv(const Launcher& launcher, const ConvTiles& cut, const float* x, const float* packed, float* y) {
  const auto run = [&]<int kTiles>(std::integral_constant<int, kTiles>) {
    using Program = TileConv<Format, kTiles, kTaps>;
    launcher.for_each_block(cut.blocks(), ConvTiles::kThreads, Program::shared_bytes(cut), Program(cut, x, packed, y));
  };
  switch (cut.tiles) {
    case 2: return run(std::integral_constant<int, 2>{});
    case 3: return run(std::integral_constant<int, 3>{});
    case 4: return run(std::integral_constant<int, 4>{});
    case 5: return run(std::integral_constant<int, 5>{});
    case 8: return run(std::integral_constant<int, 8>{});
    case 10: return run(std::integral_constant<int, 10>{});
    case 15: return run(std::integral_constant<int, 15>{});
    default: return run(std::integral_constant<int, 16>{});
  }
}

/// Runs `cut` on packed weights.
template <class Format, class Launcher>
void run_tile_conv(const Launcher& launcher, const ConvTiles& cut, const float* x, const float* packed, float* y) {
  switch (taps_of(cut)) {
    case Taps::one: return run_tile_conv<Format, Taps::one>(launcher, cut, x, packed, y);
    case Taps::three_by_three: return run_tile_conv<Format, Taps::three_by_three>(launcher, cut, x, packed, y);
    case Taps::any: return run_tile_conv<Format, Taps::any>(launcher, cut, x, packed, y);
  }
}

/// A convolution in tiles; weights come packed as operand 1, or plain and are then packed in every run.
template <class Format, class Launcher>
class TileConvKernel final : public Kernel {
 public:
  TileConvKernel(const Launcher& launcher, const ConvTiles& cut, bool is_packed)
      : launcher_(launcher), cut_(cut), is_packed_(is_packed) {}
  [[nodiscard]] std::size_t workspace_bytes() const override {
    return is_packed_ ? 0 : static_cast<std::size_t>(cut_.packed_words()) * sizeof(float);
  }
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    x_ = static_cast<const float*>(inputs[0]);
    w_ = static_cast<const float*>(inputs[1]);
    y_ = static_cast<float*>(outputs[0]);
    packed_ = static_cast<float*>(workspace);
  }
  void run() override {
    if (!is_packed_) launcher_.for_each(cut_.packed_words(), PackTiles{cut_, w_, packed_});
    run_tile_conv<Format>(launcher_, cut_, x_, is_packed_ ? w_ : packed_, y_);
  }

 private:
  Launcher launcher_;
  ConvTiles cut_;
  bool is_packed_;
  const float *x_ = nullptr, *w_ = nullptr;
  float *y_ = nullptr, *packed_ = nullptr;
};

}  // namespace deq::cuda
