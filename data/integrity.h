#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace deq {

enum class FileState : std::uint8_t { intact, damaged, missing };

/// One file against its published sum.
struct FileCheck {
  std::string file;  ///< as the list of sums names it
  FileState state = FileState::intact;
  std::string expected;
  std::string found;  ///< empty when it is missing
};

struct IntegrityReport {
  std::string against;  ///< where the sums are from: a file, or a set known by name
  std::vector<FileCheck> files;
  [[nodiscard]] bool is_intact() const;
};

/// Compares what lies at `path` with sums: a list SHA256SUMS (as sha256sum writes it) there or at `path` itself;
/// without one, the sums of published_sets(), whose files may lie at `path`, in it or in the set's own folder in it;
/// CIFAR-10's by the published MD5 sums of what its archive holds, packed or unpacked.
/// @param on_file told before each file: how many are done, and of how many
/// Errors (RequestError): no such path; nothing there that has sums, and what would be; a list that is not one (with
/// line).
IntegrityReport check_integrity(const std::filesystem::path& path,
                                const std::function<void(std::size_t, std::size_t)>& on_file);

}  // namespace deq
