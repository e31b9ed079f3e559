#include "data/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

#include "core/error.h"

namespace deq {

namespace {

/// What `path` points at; it need not exist. Errors: Error when its links lead nowhere.
std::filesystem::path links_followed(std::filesystem::path path) {
  constexpr int kMostLinks = 40;  // as Linux
  std::error_code failure;
  for (int links = 0; std::filesystem::is_symlink(path, failure); ++links) {
    check(links < kMostLinks, path.string(), "is one of too many symbolic links in a row");
    path = path.parent_path() / std::filesystem::read_symlink(path);
  }
  return path;
}

/// What replace_file writes until it is complete.
std::filesystem::path unfinished(std::filesystem::path target) { return target += concat(".", ::getpid(), ".new"); }

}  // namespace

std::vector<std::byte> read_file(const std::filesystem::path& path) {
  std::error_code failure;
  const auto status = std::filesystem::status(path, failure);
  require(std::filesystem::exists(status), path.string(), "no such file");
  require(std::filesystem::is_regular_file(status), path.string(), "not a regular file");
  const auto size = std::filesystem::file_size(path, failure);
  require(!failure, path.string(), "cannot be read: ", failure.message());
  std::ifstream in(path, std::ios::binary);
  require(in.is_open(), path.string(), "cannot be opened: ", std::strerror(errno));
  std::vector<std::byte> bytes(size);
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  require(static_cast<std::uintmax_t>(in.gcount()) == size, path.string(), "read ", in.gcount(), " of ", size,
          " bytes");
  return bytes;
}

std::filesystem::path replace_file(const std::filesystem::path& path,
                                   const std::function<void(const std::filesystem::path&)>& write) {
  std::error_code failure;
  const auto status = std::filesystem::status(path, failure);
  check(!std::filesystem::is_directory(status), path.string(), "is a folder, expected a file");
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    write(path);
    return path;
  }
  const std::filesystem::path target = links_followed(path);
  const std::filesystem::path fresh = unfinished(target);
  try {
    write(fresh);
    if (std::filesystem::exists(status)) std::filesystem::permissions(fresh, status.permissions(), failure);
    std::filesystem::rename(fresh, target, failure);
    check(!failure, path.string(), "cannot be replaced: ", failure.message());
  } catch (...) {
    std::filesystem::remove(fresh, failure);
    throw;
  }
  return target;
}

std::string write_obstacle(const std::filesystem::path& path) {
  std::error_code failure;
  const auto status = std::filesystem::status(path, failure);
  if (status.type() == std::filesystem::file_type::none) return "cannot be written: " + failure.message();
  if (std::filesystem::is_directory(status)) return "is a folder, expected a file";
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    return ::access(path.c_str(), W_OK) == 0 ? "" : concat("cannot be written: ", std::strerror(errno));
  const std::filesystem::path fresh = unfinished(links_followed(path));
  const int file = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return concat("cannot be written: ", std::strerror(errno));
  ::close(file);
  ::unlink(fresh.c_str());
  return {};
}

void remove_unfinished(const std::filesystem::path& path) {
  const std::filesystem::path target = links_followed(path);
  const std::string start = target.filename().string() + ".";
  constexpr std::string_view kEnd = ".new";
  const std::filesystem::path folder = target.has_parent_path() ? target.parent_path() : ".";
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failure)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(start) || !name.ends_with(kEnd) || name.size() <= start.size() + kEnd.size()) continue;
    const std::string_view pid = std::string_view(name).substr(start.size(), name.size() - start.size() - kEnd.size());
    if (pid.find_first_not_of("0123456789") == std::string_view::npos) std::filesystem::remove(entry.path(), failure);
  }
}

void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  replace_file(path, [&](const std::filesystem::path& file) {
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    check(out.is_open(), path.string(), "cannot be created: ", std::strerror(errno));
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    out.close();
    check(out.good(), path.string(), "writing ", bytes.size(), " bytes failed: ", std::strerror(errno));
  });
}

}  // namespace deq
