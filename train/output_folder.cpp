#include "train/output_folder.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace deq {

void make_output_folder(const std::filesystem::path& folder, std::string_view flag) {
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  require(!failure, folder.string(), "cannot be made: ", failure.message(), "; give another ", flag);
  const bool is_open = ::access(folder.c_str(), W_OK | X_OK) == 0;
  require(is_open, folder.string(), "cannot be written to: ", std::strerror(errno), "; give another ", flag);
}

void check_output_file(const std::filesystem::path& file, std::string_view flag) {
  if (file.empty()) return;
  std::error_code ignored;
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
  require(!std::filesystem::is_directory(file, ignored), flag, "'", file.string(), "' is a folder, expected a file");
  require(std::filesystem::is_directory(folder, ignored), flag, "the folder of '", file.string(), "' is not there");
}

}  // namespace deq
