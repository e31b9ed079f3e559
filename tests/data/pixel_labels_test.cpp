#include "data/pixel_labels.h"

#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>

#include "data/file.h"
#include "tests/data/temporary_folder.h"

namespace deq {
namespace {

using testing::request_error_of;
using testing::TemporaryFolder;

PixelLabels counted(int height, int width, int limit) {
  PixelLabels map(height, width, 0);
  for (std::size_t i = 0; i < map.labels.size(); ++i) map.labels[i] = static_cast<std::int32_t>(i * 7) % limit;
  return map;
}

std::string big_endian_text(std::uint32_t value) {
  std::string out;
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(value >> static_cast<unsigned>(shift) & 255U);
  return out;
}

std::string chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  const auto sum = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return big_endian_text(static_cast<std::uint32_t>(data.size())) + body +
         big_endian_text(static_cast<std::uint32_t>(sum));
}

/// A PNG of the given header fields whose scanlines (filter bytes included) are `lines`.
std::string png_of(int width, int height, int bits, int colour_type, const std::string& lines, bool is_interlaced) {
  std::string header =
      big_endian_text(static_cast<std::uint32_t>(width)) + big_endian_text(static_cast<std::uint32_t>(height));
  for (const int value : {bits, colour_type, 0, 0, is_interlaced ? 1 : 0}) header += static_cast<char>(value);
  std::string packed(compressBound(lines.size()), '\0');
  uLongf size = packed.size();
  REQUIRE(compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(lines.data()),
                   lines.size()) == Z_OK);
  packed.resize(size);
  const std::string palette(3 * 256, '\x40');
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR", header) + (colour_type == 3 ? chunk("PLTE", palette) : "") +
         chunk("IDAT", packed) + chunk("IEND", "");
}

void write_text_file(const std::filesystem::path& path, const std::string& text) {
  write_file(path, std::as_bytes(std::span(text)));
}

TEST_CASE("a label map comes back label by label") {
  const TemporaryFolder folder;
  const PixelLabels written = counted(23, 17, 256);
  write_pixel_labels(folder / "a.png", written);
  const PixelLabels read = read_pixel_labels(folder / "a.png");
  CHECK(read.height == 23);
  CHECK(read.width == 17);
  CHECK(read.labels == written.labels);
  CHECK_THROWS_AS(write_pixel_labels(folder / "b.png", PixelLabels(1, 1, 256)), Error);
  CHECK_THROWS_AS(write_pixel_labels(folder / "b.png", PixelLabels(1, 1, -1)), Error);
}

TEST_CASE("palette indices and narrow or wide grey values are read as they are") {
  const TemporaryFolder folder;
  using namespace std::string_literals;
  write_text_file(folder / "palette.png", png_of(3, 1, 8, 3, "\0\x05\x00\xff"s, false));
  CHECK(read_pixel_labels(folder / "palette.png").labels == std::vector<std::int32_t>{5, 0, 255});
  write_text_file(folder / "two.png", png_of(5, 1, 2, 0, "\0\x1b\x80"s, false));  // 00 01 10 11, 10
  CHECK(read_pixel_labels(folder / "two.png").labels == std::vector<std::int32_t>{0, 1, 2, 3, 2});
  write_text_file(folder / "one.png", png_of(9, 1, 1, 3, "\0\xa1\x80"s, false));
  CHECK(read_pixel_labels(folder / "one.png").labels == std::vector<std::int32_t>{1, 0, 1, 0, 0, 0, 0, 1, 1});
  write_text_file(folder / "wide.png", png_of(2, 1, 16, 0, "\0\x01\x02\x00\x03"s, false));
  CHECK(read_pixel_labels(folder / "wide.png").labels == std::vector<std::int32_t>{258, 3});
}

TEST_CASE("every filter of a scanline is undone") {
  const TemporaryFolder folder;
  using namespace std::string_literals;
  // Rows: 10 20 30 as differences to the left; then each the same again by up, average, Paeth and none.
  const std::string lines =
      "\x01\x0a\x0a\x0a"s + "\x02\x00\x00\x00"s + "\x03\x05\x05\x05"s + "\x04\x00\x0a\x0a"s + "\x00\x0a\x14\x1e"s;
  write_text_file(folder / "a.png", png_of(3, 5, 8, 0, lines, false));
  const PixelLabels map = read_pixel_labels(folder / "a.png");
  CHECK(map.at(0, 2) == 30);
  CHECK(map.at(1, 2) == 30);
  // Average: 5 + 10/2 = 10, 5 + (10 + 20)/2 = 20, 5 + (20 + 30)/2 = 30.
  CHECK(map.at(2, 0) == 10);
  CHECK(map.at(2, 2) == 30);
  // Paeth: the guess is up (10), then 10 + 20 - 10 = 20 is up again: 20 + 10, then 30 + 30 - 20 = 40: nearest is 30.
  CHECK(map.at(3, 0) == 10);
  CHECK(map.at(3, 1) == 30);
  CHECK(map.at(3, 2) == 40);
  CHECK(map.at(4, 1) == 20);
}

TEST_CASE("what is no label map is refused by name with the reason") {
  const TemporaryFolder folder;
  const auto message = [&](const std::string& name) {
    return request_error_of([&] { return read_pixel_labels(folder / name); });
  };
  write_png(folder / "colour.png", Image(3, 3));
  CHECK(message("colour.png").find("colour.png: is a colour image; expected labels as a grey or palette") !=
        std::string::npos);
  write_text_file(folder / "laced.png", png_of(1, 1, 8, 0, std::string(2, '\0'), true));
  CHECK(message("laced.png").find("interlaced") != std::string::npos);
  write_text_file(folder / "text.png", "label");
  CHECK(message("text.png").find("text.png: is no PNG file") != std::string::npos);
  CHECK(message("none.png").find("none.png") != std::string::npos);
  write_text_file(folder / "short.png", png_of(4, 4, 8, 0, std::string(7, '\0'), false));
  CHECK(message("short.png").find("cannot be unpacked") != std::string::npos);
}

TEST_CASE("a label map cut at any byte is refused or whole") {
  const TemporaryFolder folder;
  const PixelLabels whole = counted(6, 5, 200);
  write_pixel_labels(folder / "a.png", whole);
  const auto bytes = read_file(folder / "a.png");
  constexpr std::size_t kEndChunk = 12;  // the end mark may be missing: all labels are there
  for (std::size_t length = 0; length + kEndChunk < bytes.size(); ++length) {
    INFO(length);
    write_file(folder / "cut.png", std::span(bytes).first(length));
    CHECK(request_error_of([&] { return read_pixel_labels(folder / "cut.png"); }).find("cut.png") != std::string::npos);
  }
}

TEST_CASE("scaling a label map takes the label at each pixel's centre and makes up none") {
  PixelLabels map(2, 3, 0);
  map.labels = {1, 2, 3, 4, 5, 6};
  const PixelLabels twice =
      resized_window(map, {.full_height = 4, .full_width = 6, .top = 1, .left = 2, .height = 2, .width = 3});
  CHECK(twice.labels == std::vector<std::int32_t>{2, 2, 3, 5, 5, 6});
  const PixelLabels one = resized_window(map, {.full_height = 1, .full_width = 1, .height = 1, .width = 1});
  CHECK(one.labels == std::vector<std::int32_t>{5});
}

}  // namespace
}  // namespace deq
