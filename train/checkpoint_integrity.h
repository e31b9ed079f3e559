#pragma once

#include <filesystem>

#include "data/integrity.h"

namespace deq {

/// Compares the files of a checkpoint with its manifest. Their sums are "BYTES bytes, CRC-32 SUM".
/// Errors: RequestError for a manifest that is not there or is damaged itself.
IntegrityReport check_checkpoint(const std::filesystem::path& folder);

}  // namespace deq
