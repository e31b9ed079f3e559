#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace deq {

/// SHA-256 of a file, 64 lower-case hexadecimal digits. Reads it in pieces.
/// Errors: RequestError naming the file when it is missing, a folder or unreadable.
std::string sha256_of(const std::filesystem::path& path);

/// MD5 of bytes, 32 lower-case hexadecimal digits: guards against damage, not against malice.
std::string md5_of(std::span<const std::byte> bytes);

}  // namespace deq
