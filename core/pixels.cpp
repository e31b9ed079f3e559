#include "core/pixels.h"

#include <algorithm>

#include "core/error.h"

namespace deq {

NormalisePixel normalise_pixel(const PixelBatch& batch, const std::uint8_t* pixels, const PixelMove* moves,
                               float* out) {
  const Shape& shape = batch.shape;
  check(shape.rank() == 4 && shape[3] <= kMostImageChannels && shape.elements() <= INT32_MAX, "images", "are ", shape,
        ", expected [batch, height, width, channels] with at most ", kMostImageChannels, " channels");
  const auto channels = static_cast<std::size_t>(shape[3]);
  check(batch.pixels.size() == static_cast<std::size_t>(shape.elements()) &&
            batch.moves.size() == static_cast<std::size_t>(shape[0]) && batch.mean.size() == channels &&
            batch.std.size() == channels,
        "images", batch.pixels.size(), " pixels, ", batch.moves.size(), " moves and ", batch.mean.size(),
        " channels do not fit ", shape);
  NormalisePixel kernel{.pixels = pixels,
                        .moves = moves,
                        .out = out,
                        .height = static_cast<int>(shape[1]),
                        .width = static_cast<int>(shape[2]),
                        .channels = static_cast<int>(shape[3])};
  std::copy(batch.mean.begin(), batch.mean.end(), kernel.mean);
  std::copy(batch.std.begin(), batch.std.end(), kernel.std);
  return kernel;
}

}  // namespace deq
