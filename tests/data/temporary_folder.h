#pragma once

#include <filesystem>
#include <string>

#include "core/error.h"

namespace deq::testing {

/// A fresh folder that goes away with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// The message of the RequestError that `call` throws; an empty string when it throws none.
/// Any other exception passes through and fails the test.
template <class Call>
std::string request_error_of(const Call& call) {
  try {
    call();
  } catch (const RequestError& error) {
    return error.what();
  }
  return {};
}

}  // namespace deq::testing
