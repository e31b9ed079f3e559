#include "data/png_chunks.h"

#include <zlib.h>

#include <array>
#include <cstring>

#include "core/error.h"

namespace deq {
namespace {

constexpr std::array<unsigned char, 8> kSignature = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

}  // namespace

bool is_png(std::span<const std::byte> bytes) {
  return bytes.size() >= kSignature.size() && std::memcmp(bytes.data(), kSignature.data(), kSignature.size()) == 0;
}

std::uint32_t big_endian(std::span<const std::byte> bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8U | std::to_integer<std::uint32_t>(bytes[at + i]);
  return value;
}

std::vector<PngChunk> png_chunks(std::span<const std::byte> bytes, const std::string& name) {
  constexpr std::size_t kAround = 12;  // length, type and checksum
  require(is_png(bytes), name, "not a PNG file");
  std::vector<PngChunk> out;
  for (std::size_t at = kSignature.size(); at < bytes.size();) {
    require(bytes.size() - at >= kAround && big_endian(bytes, at) <= bytes.size() - at - kAround, name,
            "damaged image: truncated at byte ", bytes.size());
    const std::size_t length = big_endian(bytes, at);
    const auto* data = reinterpret_cast<const Bytef*>(bytes.data() + at + 4);
    require(crc32(0, data, static_cast<uInt>(length + 4)) == big_endian(bytes, at + 8 + length), name,
            "damaged image: checksum fails in the chunk at byte ", at);
    out.push_back({{reinterpret_cast<const char*>(data), 4}, bytes.subspan(at + 8, length)});
    at += kAround + length;
  }
  return out;
}

}  // namespace deq
