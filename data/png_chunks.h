#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace deq {

/// True when `bytes` begin as a PNG file does.
bool is_png(std::span<const std::byte> bytes);

/// One chunk of a PNG file; `data` lies in the file's bytes.
struct PngChunk {
  std::string_view type;  ///< four letters
  std::span<const std::byte> data;
};

/// The chunks of a PNG file, with every checksum verified.
/// Source: W3C PNG specification, section 5.3: length, type, data, CRC of type and data, numbers big-endian.
/// Errors: RequestError with `name` when the file is cut off or a checksum fails.
std::vector<PngChunk> png_chunks(std::span<const std::byte> bytes, const std::string& name);

/// Four bytes from `at` on as a big-endian number.
std::uint32_t big_endian(std::span<const std::byte> bytes, std::size_t at);

}  // namespace deq
