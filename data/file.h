#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace deq {

/// All bytes of a regular file. Errors: RequestError naming the file when it is missing, a folder or unreadable.
std::vector<std::byte> read_file(const std::filesystem::path& path);

/// Creates or replaces `path` by what `write` puts into the file that it is handed. That is PATH.PID.new, which takes
/// the name once it is complete: a failure leaves what was there before, and nothing else. A symbolic link stays and
/// what it points at is replaced; what is no regular file (a device, a pipe) is handed to `write` itself.
/// @returns what was written, links followed. Errors: as `write`; Error when `path` is a folder or cannot be replaced.
std::filesystem::path replace_file(const std::filesystem::path& path,
                                   const std::function<void(const std::filesystem::path&)>& write);

/// Why replace_file could not write `path`, found out by making the file that it would make and removing it; empty: it
/// can, unless the disk is full by then.
std::string write_obstacle(const std::filesystem::path& path);

/// Removes the files that replace_file left beside `path` in processes that were killed. For who knows that no other
/// process is writing it.
void remove_unfinished(const std::filesystem::path& path);

/// Creates or replaces `path` with `bytes`, as replace_file. Errors: Error naming the file and the reason.
void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

}  // namespace deq
