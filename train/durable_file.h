#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace deq {

/// Creates or replaces `path` with `bytes` and waits until they are on the disk.
/// Errors: Error naming the file and the reason (disk full, no permission, ...); a part of the file may be left.
void write_durable(const std::filesystem::path& path, std::span<const std::byte> bytes);

/// As above from pieces, one after the other.
void write_durable(const std::filesystem::path& path, std::span<const std::span<const std::byte>> pieces);

/// Waits until the entries of `folder` (creations, renames) are on the disk. Errors: Error naming the folder.
void sync_folder(const std::filesystem::path& folder);

/// Swaps two existing paths in one step. False where the system or the file system cannot.
/// Errors: Error when it can but failed.
[[nodiscard]] bool exchange_paths(const std::filesystem::path& a, const std::filesystem::path& b);

/// Replaces `path` with `text`, as replace_file, so that a kill at any instant leaves the old or the new contents, on
/// the disk. Errors: as write_durable and replace_file; the old contents then stay.
void write_durably(const std::filesystem::path& path, std::string_view text);

/// CRC-32 (the one of zlib and PNG) of `bytes`, continuing from `seed`.
std::uint32_t crc32_of(std::span<const std::byte> bytes, std::uint32_t seed = 0);

}  // namespace deq
