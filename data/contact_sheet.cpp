#include "data/contact_sheet.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>

#include "core/error.h"
#include "data/stb.h"

namespace deq {
namespace {

using Colour = std::array<std::uint8_t, 3>;
constexpr Colour kPaper = {250, 250, 250};
constexpr Colour kInk = {20, 20, 20};
constexpr Colour kRight = {30, 160, 60};
constexpr Colour kWrong = {215, 40, 40};
constexpr Colour kUnknown = {150, 150, 150};

constexpr int kPicture = 160;  // side of a picture in pixels
constexpr int kBorder = 4;
constexpr int kGap = 10;
constexpr int kTextScale = 2;
constexpr int kLine = kTextScale * kTextHeight + 4;
constexpr int kFramed = kPicture + 2 * kBorder;
constexpr int kCellWidth = kFramed + kGap;

const Colour& colour_of(Verdict verdict) {
  if (verdict == Verdict::unknown) return kUnknown;
  return verdict == Verdict::right ? kRight : kWrong;
}

int caption_lines(const std::string& caption) { return 1 + static_cast<int>(std::ranges::count(caption, '\n')); }

void fill(Image& sheet, int top, int left, int height, int width, const Colour& colour) {
  for (int y = std::max(top, 0); y < std::min(top + height, sheet.height); ++y) {
    for (int x = std::max(left, 0); x < std::min(left + width, sheet.width); ++x)
      std::ranges::copy(colour, sheet.at(y, x).begin());
  }
}

/// Nearest-pixel enlargement: small images stay crisp.
void paste(Image& sheet, int top, int left, const Image& image) {
  for (int y = 0; y < kPicture; ++y) {
    for (int x = 0; x < kPicture; ++x)
      std::ranges::copy(image.at(y * image.height / kPicture, x * image.width / kPicture),
                        sheet.at(top + y, left + x).begin());
  }
}

void write_line(Image& sheet, int top, int left, std::string caption) {
  std::erase_if(caption, [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80; });  // later bytes
  std::ranges::replace_if(
      caption, [](char letter) { return letter < ' ' || letter > '~'; }, '?');
  while (!caption.empty() && kTextScale * text_width(caption) > kFramed) caption.pop_back();
  for (const TextBox& box : text_boxes(caption)) {
    const auto pixels = [](float value) { return kTextScale * static_cast<int>(std::lround(value)); };
    fill(sheet, top + pixels(box.top), left + pixels(box.left), pixels(box.bottom) - pixels(box.top),
         pixels(box.right) - pixels(box.left), kInk);
  }
}

void write_caption(Image& sheet, int top, int left, const std::string& caption) {
  std::istringstream lines(caption);
  for (std::string line; std::getline(lines, line); top += kLine) write_line(sheet, top, left, line);
}

}  // namespace

Image contact_sheet(std::span<const ContactSheetItem> items, int columns) {
  check(!items.empty() && columns >= 1, "contact sheet", items.size(), " items in ", columns, " columns");
  const int count = static_cast<int>(items.size());
  const int used = std::min(columns, count);
  const int rows = (count + columns - 1) / columns;
  int lines = 1;
  for (const ContactSheetItem& item : items) lines = std::max(lines, caption_lines(item.caption));
  const int cell_height = kFramed + lines * kLine + 4 + kGap;
  Image sheet(rows * cell_height + kGap, used * kCellWidth + kGap);
  fill(sheet, 0, 0, sheet.height, sheet.width, kPaper);
  for (int i = 0; i < count; ++i) {
    const ContactSheetItem& item = items[static_cast<std::size_t>(i)];
    check(item.image.height > 0 && item.image.width > 0, "contact sheet", "item ", i, " has an empty image");
    const int top = kGap + i / columns * cell_height;
    const int left = kGap + i % columns * kCellWidth;
    fill(sheet, top, left, kFramed, kFramed, colour_of(item.verdict));
    paste(sheet, top + kBorder, left + kBorder, item.image);
    write_caption(sheet, top + kFramed + 6, left, item.caption);
  }
  return sheet;
}

void write_contact_sheet(const std::filesystem::path& path, std::span<const ContactSheetItem> items, int columns) {
  write_png(path, contact_sheet(items, columns));
}

}  // namespace deq
