#include "train/durable_file.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "core/error.h"
#include "data/file.h"

namespace deq {

namespace {

/// An open file descriptor that closes itself.
class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags) : path_(path), fd_(::open(path.c_str(), flags, 0644)) {
    check(fd_ >= 0, path_.string(), "cannot be opened: ", std::strerror(errno));
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      check(count > 0, path_.string(), "writing stopped at byte ", written_, ": ",
            count < 0 ? std::strerror(errno) : "nothing was written");
      bytes = bytes.subspan(static_cast<std::size_t>(count));
      written_ += static_cast<std::size_t>(count);
    }
  }
  /// Waits for the disk; what has none behind it (a pipe, a terminal) is as it should be at once.
  void sync() const {
    const bool is_synced = ::fsync(fd_) == 0 || errno == EINVAL || errno == EROFS;
    check(is_synced, path_.string(), "cannot be synced: ", std::strerror(errno));
  }
  /// Closes and reports what close reports (network file systems tell of a full disk only here).
  void close() {
    const int result = ::close(fd_);
    fd_ = -1;
    check(result == 0, path_.string(), "cannot be closed: ", std::strerror(errno));
  }

 private:
  std::filesystem::path path_;
  int fd_;
  std::size_t written_ = 0;
};

}  // namespace

void write_durable(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  write_durable(path, std::span(&bytes, 1));
}

void write_durable(const std::filesystem::path& path, std::span<const std::span<const std::byte>> pieces) {
  Descriptor file(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC);
  for (const std::span<const std::byte> piece : pieces) file.write(piece);
  file.sync();
  file.close();
}

void sync_folder(const std::filesystem::path& folder) {
  const Descriptor entries(folder.empty() ? std::filesystem::path(".") : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  entries.sync();
}

bool exchange_paths(const std::filesystem::path& a, const std::filesystem::path& b) {
#ifdef RENAME_EXCHANGE
  if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) return true;
  const bool is_unsupported = errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP;
  check(is_unsupported, b.string(), "cannot be replaced: ", std::strerror(errno));
#endif
  return false;
}

void write_durably(const std::filesystem::path& path, std::string_view text) {
  const auto write = [&](const std::filesystem::path& file) { write_durable(file, std::as_bytes(std::span(text))); };
  sync_folder(replace_file(path, write).parent_path());
}

std::uint32_t crc32_of(std::span<const std::byte> bytes, std::uint32_t seed) {
  return static_cast<std::uint32_t>(::crc32_z(seed, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace deq
