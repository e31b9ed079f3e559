#include "data/compressed_file.h"

#include <bzlib.h>
#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "core/error.h"
#include "data/file.h"

namespace deq {
namespace {

/// Text grows by this many bytes at a time, at the least.
constexpr std::size_t kStepBytes = std::size_t{1} << 20U;

/// Unused room at the end of `text`, doubled as it fills.
std::span<char> room_of(std::string& text, std::size_t used) {
  if (text.size() - used < kStepBytes) text.resize(std::max(2 * text.size(), used + kStepBytes));
  constexpr std::size_t kMost = std::numeric_limits<int>::max();
  return std::span(text).subspan(used, std::min(text.size() - used, kMost));
}

[[noreturn]] void fail_damaged(const std::string& name, std::size_t unpacked) {
  throw RequestError(concat(name, ": damaged or cut short after ", unpacked, " unpacked bytes"));
}

std::string unpack_bzip2(std::span<std::byte> bytes, const std::string& name) {
  std::string text;
  std::size_t used = 0;
  std::span<std::byte> rest = bytes;
  while (!rest.empty()) {
    bz_stream stream{};
    check(BZ2_bzDecompressInit(&stream, 0, 0) == BZ_OK, name, "bzip2 cannot start (out of memory?)");
    int status = BZ_OK;
    while (status == BZ_OK) {
      const std::span<char> room = room_of(text, used);
      const auto given = static_cast<unsigned>(std::min<std::size_t>(rest.size(), std::numeric_limits<int>::max()));
      stream.next_in = reinterpret_cast<char*>(rest.data());
      stream.avail_in = given;
      stream.next_out = room.data();
      stream.avail_out = static_cast<unsigned>(room.size());
      status = BZ2_bzDecompress(&stream);
      const std::size_t got = room.size() - stream.avail_out;
      const bool is_stuck = status == BZ_OK && got == 0 && stream.avail_in == given;
      used += got;
      rest = rest.subspan(given - stream.avail_in);
      if (is_stuck || (status == BZ_OK && rest.empty() && stream.avail_out > 0)) status = BZ_UNEXPECTED_EOF;
    }
    BZ2_bzDecompressEnd(&stream);
    if (status != BZ_STREAM_END) fail_damaged(name, used);
  }
  text.resize(used);
  return text;
}

std::string unpack_gzip(std::span<std::byte> bytes, const std::string& name) {
  constexpr int kGzipWindow = 15 + 16;
  std::string text;
  std::size_t used = 0;
  std::span<std::byte> rest = bytes;
  while (!rest.empty()) {
    z_stream stream{};
    check(inflateInit2(&stream, kGzipWindow) == Z_OK, name, "zlib cannot start (out of memory?)");
    int status = Z_OK;
    while (status == Z_OK) {
      const std::span<char> room = room_of(text, used);
      const auto given = static_cast<unsigned>(std::min<std::size_t>(rest.size(), std::numeric_limits<int>::max()));
      stream.next_in = reinterpret_cast<Bytef*>(rest.data());
      stream.avail_in = given;
      stream.next_out = reinterpret_cast<Bytef*>(room.data());
      stream.avail_out = static_cast<unsigned>(room.size());
      status = inflate(&stream, Z_NO_FLUSH);
      used += room.size() - stream.avail_out;
      rest = rest.subspan(given - stream.avail_in);
      if (status == Z_OK && rest.empty() && stream.avail_out > 0) status = Z_BUF_ERROR;
    }
    inflateEnd(&stream);
    if (status != Z_STREAM_END) fail_damaged(name, used);
  }
  text.resize(used);
  return text;
}

bool starts_with(std::span<const std::byte> bytes, std::span<const std::uint8_t> mark) {
  return bytes.size() >= mark.size() && std::ranges::equal(bytes.first(mark.size()), mark, {}, [](std::byte byte) {
           return std::to_integer<std::uint8_t>(byte);
         });
}

}  // namespace

std::string read_text(const std::filesystem::path& path) {
  std::vector<std::byte> bytes = read_file(path);
  constexpr std::uint8_t kBzip2[] = {'B', 'Z', 'h'};
  constexpr std::uint8_t kGzip[] = {0x1F, 0x8B};
  if (starts_with(bytes, kBzip2)) return unpack_bzip2(bytes, path.string());
  if (starts_with(bytes, kGzip)) return unpack_gzip(bytes, path.string());
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace deq
