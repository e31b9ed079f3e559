#include "data/image.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "data/contact_sheet.h"
#include "data/file.h"
#include "tests/data/temporary_folder.h"

namespace deq {
namespace {

using testing::request_error_of;
using testing::TemporaryFolder;

Image pattern(int height, int width) {
  Image image(height, width);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<std::uint8_t>(i * 37 + i / 7);
  return image;
}

TEST_CASE("a PNG comes back pixel by pixel") {
  const TemporaryFolder folder;
  const Image written = pattern(5, 7);
  write_png(folder / "a.png", written);
  const Image read = read_image(folder / "a.png");
  CHECK(read.height == 5);
  CHECK(read.width == 7);
  CHECK(read.pixels == written.pixels);
}

TEST_CASE("a PNG cut at any byte or with any byte changed is refused by name or reads, nothing else") {
  const TemporaryFolder folder;
  write_png(folder / "a.png", pattern(4, 4));
  const auto bytes = read_file(folder / "a.png");
  constexpr std::size_t kEndChunk = 12;  // the end mark may be missing: all pixels are there
  for (std::size_t length = 0; length + kEndChunk < bytes.size(); ++length) {
    INFO(length);
    write_file(folder / "cut.png", std::span(bytes).first(length));
    CHECK(request_error_of([&] { return read_image(folder / "cut.png"); }).find("cut.png") != std::string::npos);
  }
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    auto changed = bytes;
    changed[at] ^= std::byte{0x55};
    write_file(folder / "changed.png", changed);
    INFO(at);
    CHECK(request_error_of([&] { return read_image(folder / "changed.png"); }).find("changed.png") !=
          std::string::npos);
  }
}

TEST_CASE("grey files become RGB") {
  const TemporaryFolder folder;
  const std::string grey = "P5 2 1 255\n\x10\xF0";
  write_file(folder / "a.pgm", std::as_bytes(std::span(grey)));
  CHECK(read_image(folder / "a.pgm").pixels == std::vector<std::uint8_t>{0x10, 0x10, 0x10, 0xF0, 0xF0, 0xF0});
}

TEST_CASE("files that are no images, missing or folders are named") {
  const TemporaryFolder folder;
  const std::string text = "not an image";
  write_file(folder / "text.png", std::as_bytes(std::span(text)));
  CHECK(request_error_of([&] { return read_image(folder / "text.png"); }).find("not an image that can be read") !=
        std::string::npos);
  CHECK(request_error_of([&] { return read_image(folder / "none.png"); }).find("none.png: no such file") !=
        std::string::npos);
  const std::string empty = "P6 0 5 255\n";  // as much as its reader makes of -1 as well
  write_file(folder / "empty.ppm", std::as_bytes(std::span(empty)));
  CHECK(request_error_of([&] { return read_image(folder / "empty.ppm"); }).find("empty.ppm: image of 0 x 5 pixels") !=
        std::string::npos);
  CHECK(request_error_of([&] { return read_image(folder.path()); }).find("not a regular file") != std::string::npos);
}

TEST_CASE("resizing keeps constant images, and the size it is at") {
  Image flat(9, 13);
  std::ranges::fill(flat.pixels, std::uint8_t{77});
  for (const int side : {1, 4, 9, 31}) {
    const Image out = resized(flat, side, side + 2);
    CHECK(std::ranges::all_of(out.pixels, [](std::uint8_t value) { return value == 77; }));
  }
  const Image image = pattern(6, 5);
  CHECK(resized(image, 6, 5).pixels == image.pixels);
  CHECK(fitted(image, 6, 5).pixels == image.pixels);
}

TEST_CASE("fitting cuts the longer side about the centre") {
  Image wide(2, 6);
  for (int y = 0; y < 2; ++y) {
    for (int x = 0; x < 6; ++x) wide.at(y, x)[0] = static_cast<std::uint8_t>(10 * x);
  }
  const Image out = fitted(wide, 2, 2);
  CHECK(out.width == 2);
  CHECK(out.at(0, 0)[0] == 20);
  CHECK(out.at(1, 1)[0] == 30);
}

TEST_CASE("a contact sheet shows every picture, framed by its answer") {
  std::vector<ContactSheetItem> items;
  for (int i = 0; i < 5; ++i)
    items.push_back({pattern(8, 8), "caption " + std::to_string(i), i % 2 == 0 ? Verdict::right : Verdict::wrong});
  items.push_back({pattern(8, 8), "a caption that is much too long for its cell, with \xC3\xA9", Verdict::unknown});
  const Image sheet = contact_sheet(items, 3);
  CHECK(sheet.width > 3 * 128);
  CHECK(sheet.height > 2 * 128);
  const auto first = sheet.at(11, 20);
  const auto second = sheet.at(11, 20 + sheet.width / 3);
  CHECK(first[1] > first[0]);
  CHECK(second[0] > second[1]);
  const auto last = sheet.at(sheet.height - (sheet.height - 10) / 2 + 1, 20 + 2 * (sheet.width / 3));
  CHECK(last[0] == last[1]);
  CHECK(last[0] < 200);
  items[1].caption += "\nsecond line";
  CHECK(contact_sheet(items, 3).height > sheet.height);
  CHECK_THROWS_AS(contact_sheet({}, 3), Error);
}

}  // namespace
}  // namespace deq
