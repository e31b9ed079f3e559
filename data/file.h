#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

namespace deq {

/// All bytes of a regular file. Errors: RequestError naming the file when it is missing, a folder or unreadable.
std::vector<std::byte> read_file(const std::filesystem::path& path);

/// Creates or replaces `path` with `bytes` (not atomic). Errors: Error naming the file and the reason.
void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

}  // namespace deq
