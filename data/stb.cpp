// The only file that sees stb: its implementation is compiled here.
#include "data/stb.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>

#include "core/error.h"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#include <stb/stb_image.h>
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#include <stb/stb_easy_font.h>
#include <stb/stb_image_write.h>

namespace deq {

namespace {

/// Verifies the checksum of every chunk of a PNG, which stb does not; other formats have none.
/// Source: W3C PNG specification, section 5.3: length, type, data, CRC of type and data, numbers big-endian.
void verify_png_checksums(std::span<const std::byte> bytes, const std::string& name) {
  constexpr std::array<unsigned char, 8> kSignature = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  constexpr std::size_t kAround = 12;  // length, type and checksum
  const auto number_at = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = value << 8U | std::to_integer<std::uint32_t>(bytes[at + i]);
    return value;
  };
  if (bytes.size() < kSignature.size() || std::memcmp(bytes.data(), kSignature.data(), kSignature.size()) != 0) return;
  for (std::size_t at = kSignature.size(); at < bytes.size();) {
    require(bytes.size() - at >= kAround && number_at(at) <= bytes.size() - at - kAround, name,
            "damaged image: truncated at byte ", bytes.size());
    const std::size_t length = number_at(at);
    const auto* data = reinterpret_cast<const Bytef*>(bytes.data() + at + 4);
    require(crc32(0, data, static_cast<uInt>(length + 4)) == number_at(at + 8 + length), name,
            "damaged image: checksum fails in the chunk at byte ", at);
    at += kAround + length;
  }
}

}  // namespace

void StbDeleter::operator()(std::uint8_t* pixels) const { stbi_image_free(pixels); }

RgbaPixels decode_rgba(std::span<const std::byte> bytes, const std::string& name) {
  constexpr int kMaxSide = 1 << 14;
  require(bytes.size() <= INT_MAX, name, "file of ", bytes.size(), " bytes is too large for an image");
  verify_png_checksums(bytes, name);
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  const int length = static_cast<int>(bytes.size());
  RgbaPixels image;
  int channels = 0;
  require(stbi_info_from_memory(data, length, &image.width, &image.height, &channels) != 0, name,
          "not an image that can be read: expected PNG, JPEG, BMP, GIF, TGA or PNM");
  require(image.width <= kMaxSide && image.height <= kMaxSide, name, "image of ", image.width, " x ", image.height,
          " pixels exceeds ", kMaxSide, " a side");
  image.data.reset(stbi_load_from_memory(data, length, &image.width, &image.height, &channels, STBI_rgb_alpha));
  require(image.data != nullptr, name, "damaged image: ", stbi_failure_reason());
  return image;
}

std::vector<std::byte> encode_png(std::span<const std::uint8_t> rgb, int height, int width) {
  check(height > 0 && width > 0 && rgb.size() == 3 * static_cast<std::size_t>(height) * static_cast<std::size_t>(width),
        "png", rgb.size(), " bytes for ", height, " x ", width, " RGB pixels");
  std::vector<std::byte> bytes;
  const auto append = [](void* context, void* data, int size) {
    const auto* from = static_cast<const std::byte*>(data);
    static_cast<std::vector<std::byte>*>(context)->insert(static_cast<std::vector<std::byte>*>(context)->end(), from,
                                                          from + size);
  };
  check(stbi_write_png_to_func(append, &bytes, width, height, 3, rgb.data(), 3 * width) != 0, "png", "encoding failed");
  return bytes;
}

std::vector<TextBox> text_boxes(const std::string& text) {
  struct Corner {
    float x, y, z;
    std::uint8_t colour[4];
  };
  constexpr std::size_t kCornersPerLetter = 80;  // stb: about 270 bytes a letter; this is ample
  std::vector<Corner> corners((text.size() + 1) * kCornersPerLetter);
  std::string copy = text;
  const int boxes = stb_easy_font_print(0, 0, copy.data(), nullptr, corners.data(),
                                        static_cast<int>(corners.size() * sizeof(Corner)));
  std::vector<TextBox> out;
  for (std::size_t i = 0; i < static_cast<std::size_t>(boxes); ++i) {
    const Corner& first = corners[4 * i];
    const Corner& opposite = corners[4 * i + 2];
    out.push_back({.left = first.x, .top = first.y, .right = opposite.x, .bottom = opposite.y});
  }
  return out;
}

int text_width(const std::string& text) {
  std::string copy = text;
  return stb_easy_font_width(copy.data());
}

}  // namespace deq
