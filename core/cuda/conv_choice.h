#pragma once

#include <optional>
#include <vector>

#include "core/cuda/conv_tiles.h"

namespace deq::cuda {

struct Vendor;

/// Which convolutions run in tiles of our own, as found out for a backend so far.
class ConvChoices {
 public:
  /// The cut of a convolution that is to run in tiles: where the library's kernel takes longer, as measured once on
  /// this device, or by a rule of extents with deterministic kernels and where no memory is left to measure in. None in
  /// f32.
  [[nodiscard]] std::optional<ConvTiles> tiles_of(const Vendor& vendor, const ConvShape& shape, ConvPass pass);

 private:
  struct Known {
    ConvShape shape;
    ConvPass pass;
    bool is_in_tiles;
  };
  std::vector<Known> known_;
};

}  // namespace deq::cuda
