#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "data/image.h"

namespace deq {

/// One picture of a contact sheet: its border is green when the answer is good, red when it is not.
struct ContactSheetItem {
  Image image{};
  std::string caption;
  bool is_good = true;
};

/// A grid of the items, `columns` a row, each enlarged without smoothing, with its caption below it.
/// A caption may have several lines; those that are too wide are cut. Errors: Error when there is no item.
Image contact_sheet(std::span<const ContactSheetItem> items, int columns = 8);

/// Writes the sheet as PNG. Errors: Error when there is no item or the file cannot be written.
void write_contact_sheet(const std::filesystem::path& path, std::span<const ContactSheetItem> items, int columns = 8);

}  // namespace deq
