// The only file that sees stb: its implementation is compiled here.
#include "data/stb.h"

#include <climits>

#include "core/error.h"
#include "data/png_chunks.h"

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

/// Walks the segments of a JPEG to its end, which stb does not ask for: a file cut off would decode to an image with a
/// grey rest. Source: ITU-T T.81, annex B: marker FF xx, length (big-endian, itself included); after a scan header
/// coded data, in which FF is followed by 00 or a restart marker.
void verify_jpeg_end(std::span<const std::byte> bytes, const std::string& name) {
  const auto at = [&](std::size_t i) { return i < bytes.size() ? std::to_integer<unsigned>(bytes[i]) : 0U; };
  constexpr unsigned kMark = 0xFF, kStart = 0xD8, kEnd = 0xD9, kFirstRestart = 0xD0;
  if (at(0) != kMark || at(1) != kStart) return;
  for (std::size_t i = 2; i + 1 < bytes.size();) {
    const bool is_marker = at(i) == kMark && at(i + 1) != 0 && at(i + 1) != kMark;
    const bool is_restart = at(i + 1) >= kFirstRestart && at(i + 1) < kStart;
    if (is_marker && at(i + 1) == kEnd) return;
    if (!is_marker || is_restart)
      ++i;  // coded data, filling, or what lies between segments
    else if (i + 3 < bytes.size())
      i += 2 + (at(i + 2) << 8U) + at(i + 3);
    else
      break;
  }
  require(false, name, "damaged image: truncated at byte ", bytes.size(), " (no end marker)");
}

}  // namespace

void StbDeleter::operator()(std::uint8_t* pixels) const { stbi_image_free(pixels); }

RgbaPixels decode_rgba(std::span<const std::byte> bytes, const std::string& name) {
  constexpr int kMaxSide = 1 << 14;
  require(bytes.size() <= INT_MAX, name, "file of ", bytes.size(), " bytes is too large for an image");
  if (is_png(bytes)) (void)png_chunks(bytes, name);
  verify_jpeg_end(bytes, name);
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  const int length = static_cast<int>(bytes.size());
  RgbaPixels image;
  int channels = 0;
  require(stbi_info_from_memory(data, length, &image.width, &image.height, &channels) != 0, name,
          "not an image that can be read: expected PNG, JPEG, BMP, GIF, TGA or PNM");
  require(image.width > 0 && image.height > 0, name, "image of ", image.width, " x ", image.height, " pixels");
  require(image.width <= kMaxSide && image.height <= kMaxSide, name, "image of ", image.width, " x ", image.height,
          " pixels exceeds ", kMaxSide, " a side");
  image.data.reset(stbi_load_from_memory(data, length, &image.width, &image.height, &channels, STBI_rgb_alpha));
  require(image.data != nullptr, name, "damaged image: ", stbi_failure_reason());
  return image;
}

std::vector<std::byte> encode_png(std::span<const std::uint8_t> pixels, int height, int width, int channels) {
  const auto count = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  check(height > 0 && width > 0 && (channels == 1 || channels == 3) &&
            pixels.size() == count * static_cast<std::size_t>(channels),
        "png", pixels.size(), " bytes for ", height, " x ", width, " pixels of ", channels, " channels");
  std::vector<std::byte> bytes;
  const auto append = [](void* context, void* data, int size) {
    const auto* from = static_cast<const std::byte*>(data);
    static_cast<std::vector<std::byte>*>(context)->insert(static_cast<std::vector<std::byte>*>(context)->end(), from,
                                                          from + size);
  };
  check(stbi_write_png_to_func(append, &bytes, width, height, channels, pixels.data(), channels * width) != 0, "png",
        "encoding failed");
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
