#pragma once

#include <filesystem>

#include "data/image.h"

namespace deq::testing {

/// Writes a JPEG of `channels` 1 (grey, from red) or 3, of high quality.
void write_jpeg(const std::filesystem::path& path, const Image& image, int channels = 3);

}  // namespace deq::testing
