#include "tests/data/temporary_folder.h"

#include <cstdlib>

#include "core/error.h"

namespace deq::testing {

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "deq_test_XXXXXX").string();
  check(mkdtemp(pattern.data()) != nullptr, "temporary folder", "cannot create ", pattern);
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace deq::testing
