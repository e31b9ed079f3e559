#pragma once

#include <filesystem>
#include <memory>

#include "data/dataset.h"

namespace deq {

/// Reads UCI's optical digits (E. Alpaydin, C. Kaynak, 1998): 8x8 grey images from optdigits.tra (train) or
/// optdigits.tes (test) in `directory` or `directory`/digits. Values 0 ... 16 become 0 ... 255.
/// Errors: RequestError naming file and line, or the missing file and where it comes from.
std::shared_ptr<const ImageSet> read_digits(const std::filesystem::path& directory, Split split);

}  // namespace deq
