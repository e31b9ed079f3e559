#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/train/temporary_folder.h"

namespace deq::test {

/// A run of a few steps with two test images of 32 x 32 as PNG files.
struct TinyRun {
  TinyRun();
  TemporaryFolder folder;
  std::filesystem::path path = folder.path() / "run";
  std::string checkpoint = (path / "checkpoints" / "last").string();
  std::vector<std::string> images;
};

/// The same for all tests, made once.
const TinyRun& tiny_run();

/// Checks that the program ends on these arguments with `status` and one line of which `part` is a part.
void check_refused(const std::string& arguments, const std::string& part, int status = 2);

}  // namespace deq::test
