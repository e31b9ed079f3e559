#include "train/output_folder.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace deq {

void make_output_folder(const std::filesystem::path& folder) {
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  require(!failure, folder.string(), "cannot be made: ", failure.message(), "; give another --out");
  require(::access(folder.c_str(), W_OK | X_OK) == 0, folder.string(), "cannot be written to: ", std::strerror(errno),
          "; give another --out");
}

}  // namespace deq
