#pragma once

#include <filesystem>
#include <string>

namespace deq {

/// The text of a file, unpacked when its first bytes say bzip2 or gzip (whatever its name; several members in a row are
/// joined). Errors: RequestError naming the file when it is missing, unreadable, damaged or cut short.
std::string read_text(const std::filesystem::path& path);

}  // namespace deq
