#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace deq {

/// Files of an archive by base name.
using ArchiveFiles = std::map<std::string, std::vector<std::byte>>;

/// Unpacks into memory the regular files of a .tar.gz that `wanted` lists by base name; others are passed over.
/// The whole archive is read, so its checksums are verified. Files that are absent are simply absent from the result.
/// Errors: RequestError naming the archive when it is missing, truncated, not gzip, fails its checksum, or is not tar.
ArchiveFiles read_tar_gz(const std::filesystem::path& path, const std::vector<std::string>& wanted);

}  // namespace deq
