#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace deq {

struct StbDeleter {
  void operator()(std::uint8_t* pixels) const;
};

/// Decoded pixels, four bytes each: red, green, blue, opacity.
struct RgbaPixels {
  int height = 0;
  int width = 0;
  std::unique_ptr<std::uint8_t, StbDeleter> data;
};

/// Decodes an image file held in memory. Errors: RequestError with `name` and the reason.
RgbaPixels decode_rgba(std::span<const std::byte> bytes, const std::string& name);

/// The bytes of a PNG file of RGB pixels.
std::vector<std::byte> encode_png(std::span<const std::uint8_t> rgb, int height, int width);

}  // namespace deq
