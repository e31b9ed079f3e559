#include "train/output_folder.h"

#include "core/error.h"
#include "data/file.h"

namespace deq {

void make_output_folder(const std::filesystem::path& folder, std::string_view flag) {
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  require(!failure, folder.string(), "cannot be made: ", failure.message(), "; give another ", flag);
  const std::string obstacle = write_obstacle(folder / "results");
  require(obstacle.empty(), folder.string(), "a file in it ", obstacle, "; give another ", flag);
}

void check_output_file(const std::filesystem::path& file, std::string_view flag) {
  if (file.empty()) return;
  std::error_code ignored;
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
  require(std::filesystem::is_directory(folder, ignored), flag, "the folder of '", file.string(), "' is not there");
  const std::string obstacle = write_obstacle(file);
  require(obstacle.empty(), flag, "'", file.string(), "' ", obstacle);
}

}  // namespace deq
