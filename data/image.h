#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"

namespace deq {

/// 8-bit RGB, row by row, channels innermost.
struct Image {
  int height = 0;
  int width = 0;
  std::vector<std::uint8_t> pixels{};

  Image() = default;
  /// A black image.
  Image(int rows, int columns);

  [[nodiscard]] std::span<std::uint8_t, 3> at(int y, int x);
  [[nodiscard]] std::span<const std::uint8_t, 3> at(int y, int x) const;
};

/// A file that is damaged, or no image at all.
class BadImage : public RequestError {
 public:
  using RequestError::RequestError;
};

/// Decodes a PNG, JPEG, BMP, GIF, TGA or PNM file. Grey becomes RGB; transparency is laid over white.
/// Errors: BadImage naming the file and why it cannot be decoded.
Image read_image(const std::filesystem::path& path);

/// The same of a file's bytes. Errors: BadImage with `name` and why they cannot be decoded.
Image decode_image(std::span<const std::byte> bytes, const std::string& name);

/// Writes a PNG. Errors: Error when the file cannot be written.
void write_png(const std::filesystem::path& path, const Image& image);

/// A copy of height x width pixels, interpolated bilinearly between pixel centres; when shrinking, the filter widens
/// with the step so that no pixel is passed over.
Image resized(const Image& image, int height, int width);

/// Part of what an image becomes when it is scaled to full_height x full_width.
struct ScaledWindow {
  int full_height = 0;
  int full_width = 0;
  int top = 0;  ///< of the part, in pixels of the scaled image; the part lies inside it
  int left = 0;
  int height = 0;
  int width = 0;
};
/// The same pixels as in resized(image, full_height, full_width), at the cost of the part alone.
Image resized_window(const Image& image, const ScaledWindow& window);

/// Rows top ... top + height - 1 of columns left ... left + width - 1, which lie inside the image.
Image cropped(const Image& image, int top, int left, int height, int width);

/// The image scaled until it just covers height x width, then cut to it about its centre.
Image fitted(const Image& image, int height, int width);

}  // namespace deq
