#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string_view>

#include "data/dataset.h"

namespace deq {

/// The classes by their number.
inline constexpr std::array<std::string_view, 10> kDigitClasses = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

/// Reads UCI's optical digits (E. Alpaydin, C. Kaynak, 1998): 8x8 grey images from optdigits.tra (train) or
/// optdigits.tes (test) in `directory` or `directory`/digits. Values 0 ... 16 become 0 ... 255.
/// Errors: RequestError naming file and line, or the missing file and where it comes from.
std::shared_ptr<const ImageSet> read_digits(const std::filesystem::path& directory, Split split);

}  // namespace deq
