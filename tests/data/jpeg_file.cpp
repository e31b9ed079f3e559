#include "tests/data/jpeg_file.h"

#include "data/file.h"

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#include <stb/stb_image_write.h>

namespace deq::testing {

void write_jpeg(const std::filesystem::path& path, const Image& image, int channels) {
  constexpr int kQuality = 95;
  std::vector<std::uint8_t> pixels;
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    if (channels == 3 || i % 3 == 0) pixels.push_back(image.pixels[i]);
  std::vector<std::byte> bytes;
  const auto append = [](void* context, void* data, int size) {
    auto* out = static_cast<std::vector<std::byte>*>(context);
    const auto* from = static_cast<const std::byte*>(data);
    out->insert(out->end(), from, from + size);
  };
  check(stbi_write_jpg_to_func(append, &bytes, image.width, image.height, channels, pixels.data(), kQuality) != 0,
        "jpeg", "encoding failed");
  write_file(path, bytes);
}

}  // namespace deq::testing
