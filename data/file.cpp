#include "data/file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

#include "core/error.h"

namespace deq {

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

void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  check(out.is_open(), path.string(), "cannot be created: ", std::strerror(errno));
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  out.flush();
  check(out.good(), path.string(), "writing ", bytes.size(), " bytes failed: ", std::strerror(errno));
}

}  // namespace deq
