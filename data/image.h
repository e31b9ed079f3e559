#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

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

/// Decodes a PNG, JPEG, BMP, GIF, TGA or PNM file. Grey becomes RGB; transparency is laid over white.
/// Errors: RequestError naming the file and why it cannot be decoded.
Image read_image(const std::filesystem::path& path);

/// Writes a PNG. Errors: Error when the file cannot be written.
void write_png(const std::filesystem::path& path, const Image& image);

/// A copy of height x width pixels, interpolated bilinearly between pixel centres; when shrinking, the filter widens
/// with the step so that no pixel is passed over.
Image resized(const Image& image, int height, int width);

/// The image scaled until it just covers height x width, then cut to it about its centre.
Image fitted(const Image& image, int height, int width);

}  // namespace deq
