#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "core/samples.h"

namespace deq {

/// Reads LIBSVM text, plain or packed with bzip2 or gzip: `label index:value index:value ...` a line, indices from 1
/// ascending, `#` starts a comment, empty lines are passed over. Column j of the features is index j + 1; there are as
/// many columns as the largest index. Zeros that are written out are kept as entries.
/// Errors: RequestError naming file, line and column (both from 1) of a missing or malformed label, a malformed or
/// infinite number, a missing colon, an index below 1, above 10^8 or not above the one before; and of a file without
/// samples.
/// Source: C.-C. Chang, C.-J. Lin, LIBSVM, ACM TIST 2(3), 2011 (README).
Samples read_libsvm(const std::filesystem::path& path);

/// The same on text in memory; `name` stands for the file in messages.
Samples parse_libsvm(std::string_view text, const std::string& name);

}  // namespace deq
