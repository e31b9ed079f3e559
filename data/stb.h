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

/// The bytes of a PNG file of RGB (3 channels) or grey (1) pixels.
std::vector<std::byte> encode_png(std::span<const std::uint8_t> pixels, int height, int width, int channels = 3);

/// A filled rectangle of a letter, in pixels from the top left corner of the text.
struct TextBox {
  float left = 0;
  float top = 0;
  float right = 0;
  float bottom = 0;
};

/// Lines of the letters of `text` (ASCII), kTextHeight pixels high, drawn as rectangles.
std::vector<TextBox> text_boxes(const std::string& text);
inline constexpr int kTextHeight = 9;
int text_width(const std::string& text);

}  // namespace deq
