#include "data/png_labels.h"

#include <zlib.h>

#include <array>
#include <cstdlib>

#include "data/png_chunks.h"

namespace deq {
namespace {

struct Header {
  int width = 0;
  int height = 0;
  int bits = 0;
  int colour_type = 0;
  bool is_interlaced = false;

  [[nodiscard]] std::size_t row_bytes() const {
    return (static_cast<std::size_t>(width) * static_cast<std::size_t>(bits) + 7) / 8;
  }
};

template <class... Parts>
void require_whole(bool holds, const std::string& name, const Parts&... parts) {
  if (!holds) throw BadImage(concat(name, ": damaged image: ", parts...));
}

Header read_header(const std::vector<PngChunk>& chunks, const std::string& name) {
  constexpr std::size_t kHeaderBytes = 13;
  constexpr std::uint32_t kMaxSide = 1 << 14;
  require_whole(!chunks.empty() && chunks[0].type == "IHDR" && chunks[0].data.size() == kHeaderBytes, name,
                "it does not begin with a header");
  const auto data = chunks[0].data;
  const std::uint32_t width = big_endian(data, 0), height = big_endian(data, 4);
  require_whole(width > 0 && height > 0 && width <= kMaxSide && height <= kMaxSide, name, "it claims ", width, " x ",
                height, " pixels");
  Header out{.width = static_cast<int>(width),
             .height = static_cast<int>(height),
             .bits = std::to_integer<int>(data[8]),
             .colour_type = std::to_integer<int>(data[9]),
             .is_interlaced = data[12] != std::byte{0}};
  constexpr int kGrey = 0, kPalette = 3;
  require(out.colour_type == kGrey || out.colour_type == kPalette, name,
          "is a colour image; expected labels as a grey or palette PNG with one number a pixel");
  require(!out.is_interlaced, name, "is interlaced; save the labels without interlacing");
  const bool is_known = out.bits == 1 || out.bits == 2 || out.bits == 4 || out.bits == 8 || out.bits == 16;
  require_whole(is_known, name, out.bits, " bits a pixel");
  return out;
}

/// The scanlines, each after its filter byte.
std::vector<std::uint8_t> inflated(const std::vector<PngChunk>& chunks, std::size_t size, const std::string& name) {
  std::vector<std::uint8_t> out(size);
  z_stream stream{};
  check(inflateInit(&stream) == Z_OK, "zlib", "cannot start");
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(size);
  int status = Z_OK;
  for (const PngChunk& chunk : chunks) {
    if (chunk.type != "IDAT" || status != Z_OK) continue;
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(chunk.data.data()));  // zlib does not write there
    stream.avail_in = static_cast<uInt>(chunk.data.size());
    status = inflate(&stream, Z_NO_FLUSH);
  }
  const bool is_whole = stream.avail_out == 0 && (status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR);
  inflateEnd(&stream);
  require_whole(is_whole, name, "its pixels cannot be unpacked");
  return out;
}

int paeth(int left, int up, int corner) {
  const int guess = left + up - corner;
  const int to_left = std::abs(guess - left), to_up = std::abs(guess - up), to_corner = std::abs(guess - corner);
  if (to_left <= to_up && to_left <= to_corner) return left;
  return to_up <= to_corner ? up : corner;
}

/// Undoes the filter of one scanline. `step`: bytes of a pixel, at least 1.
void unfilter(int filter, std::span<std::uint8_t> row, std::span<const std::uint8_t> above, std::size_t step,
              const std::string& name) {
  require_whole(filter >= 0 && filter <= 4, name, "filter ", filter);
  for (std::size_t i = 0; i < row.size(); ++i) {
    const int left = i >= step ? row[i - step] : 0;
    const int up = above.empty() ? 0 : above[i];
    const int corner = above.empty() || i < step ? 0 : above[i - step];
    const std::array<int, 5> guesses = {0, left, up, (left + up) / 2, paeth(left, up, corner)};
    row[i] = static_cast<std::uint8_t>(row[i] + guesses[static_cast<std::size_t>(filter)]);
  }
}

std::int32_t value_at(std::span<const std::uint8_t> row, std::size_t x, int bits) {
  if (bits == 16) return row[2 * x] << 8 | row[2 * x + 1];
  const std::size_t first = x * static_cast<std::size_t>(bits);
  const int shift = 8 - bits - static_cast<int>(first % 8);
  return row[first / 8] >> shift & ((1 << bits) - 1);
}

}  // namespace

PixelLabels decode_png_labels(std::span<const std::byte> bytes, const std::string& name) {
  require(is_png(bytes), name, "is no PNG file; expected labels as a grey or palette PNG");
  std::vector<PngChunk> chunks;
  try {
    chunks = png_chunks(bytes, name);
  } catch (const RequestError& error) {
    throw BadImage(error.what());
  }
  const Header header = read_header(chunks, name);
  const std::size_t stride = header.row_bytes() + 1;
  std::vector<std::uint8_t> lines = inflated(chunks, stride * static_cast<std::size_t>(header.height), name);
  PixelLabels out(header.height, header.width, 0);
  std::span<const std::uint8_t> above;
  for (int y = 0; y < header.height; ++y) {
    const auto line = std::span(lines).subspan(static_cast<std::size_t>(y) * stride, stride);
    unfilter(line[0], line.subspan(1), above, header.bits == 16 ? 2 : 1, name);
    above = line.subspan(1);
    for (int x = 0; x < header.width; ++x) out.at(y, x) = value_at(above, static_cast<std::size_t>(x), header.bits);
  }
  return out;
}

}  // namespace deq
