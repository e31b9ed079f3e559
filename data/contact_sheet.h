#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "data/image.h"

namespace deq {

/// What is known of the answer below a picture: its border is green, red or grey.
enum class Verdict : std::uint8_t { right, wrong, unknown };

/// One picture of a contact sheet. Of the caption (UTF-8) only ASCII can be drawn; other letters become question marks.
struct ContactSheetItem {
  Image image{};
  std::string caption;
  Verdict verdict = Verdict::unknown;
};

/// A grid of the items, `columns` a row, each enlarged without smoothing, with its caption below it.
/// A caption may have several lines; those that are too wide are cut. Errors: Error when there is no item.
Image contact_sheet(std::span<const ContactSheetItem> items, int columns = 8);

/// Writes the sheet as PNG. Errors: Error when there is no item or the file cannot be written.
void write_contact_sheet(const std::filesystem::path& path, std::span<const ContactSheetItem> items, int columns = 8);

}  // namespace deq
