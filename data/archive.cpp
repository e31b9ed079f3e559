#include "data/archive.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

#include "core/error.h"

namespace deq {
namespace {

constexpr std::size_t kBlock = 512;
/// Members larger than this are not data sets of this kind; guards against a damaged size field.
constexpr std::uint64_t kMaxMemberBytes = std::uint64_t{1} << 32U;

/// Decompressed bytes of a gzip file, in order.
class GzipStream {
 public:
  explicit GzipStream(const std::filesystem::path& path) : name_(path.string()), file_(gzopen(path.c_str(), "rb")) {
    require(file_ != nullptr, name_, "cannot be opened");
    constexpr unsigned kBufferBytes = 1U << 18U;
    gzbuffer(file_.get(), kBufferBytes);
    // zlib hands plain files through unchanged; a .tar.gz that is not gzip is a damaged one.
    char first = 0;
    read({reinterpret_cast<std::byte*>(&first), 0});
    require(gzdirect(file_.get()) == 0, name_, "not a gzip file");
  }

  /// Fills `out` as far as the stream goes and returns the bytes read.
  std::size_t read(std::span<std::byte> out) {
    std::size_t done = 0;
    while (done < out.size()) {
      constexpr std::size_t kMost = std::size_t{1} << 30U;
      const int got = gzread(file_.get(), out.data() + done, static_cast<unsigned>(std::min(out.size() - done, kMost)));
      int code = Z_OK;
      const char* reason = gzerror(file_.get(), &code);
      require(code == Z_OK, name_, "damaged or truncated after ", at_ + done,
              " unpacked bytes: ", code == Z_BUF_ERROR ? "unexpected end of file" : reason);
      if (got <= 0) break;
      done += static_cast<std::size_t>(got);
    }
    at_ += done;
    return done;
  }
  void read_all(std::span<std::byte> out) {
    const std::size_t got = read(out);
    require(got == out.size(), name_, "truncated archive: it ends after ", at_, " unpacked bytes, ", out.size() - got,
            " early");
  }
  void skip(std::uint64_t bytes) {
    std::array<std::byte, 16 * kBlock> scratch{};
    for (; bytes > 0;) {
      const auto part = std::min<std::uint64_t>(bytes, scratch.size());
      read_all(std::span(scratch).first(part));
      bytes -= part;
    }
  }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::uint64_t at() const { return at_; }

 private:
  struct Close {
    void operator()(gzFile_s* file) const { gzclose(file); }
  };
  std::string name_;
  std::unique_ptr<gzFile_s, Close> file_;
  std::uint64_t at_ = 0;
};

using Block = std::array<std::byte, kBlock>;

/// Fields of a tar header used here (POSIX.1-1988 ustar): offset and length.
struct Field {
  std::size_t at;
  std::size_t length;
};
constexpr Field kName{0, 100};
constexpr Field kSize{124, 12};
constexpr Field kChecksum{148, 8};
constexpr std::size_t kTypeAt = 156;

std::string_view text_of(const Block& block, Field field) {
  const std::string_view text(reinterpret_cast<const char*>(block.data()) + field.at, field.length);
  return text.substr(0, text.find('\0'));
}

std::uint64_t octal_of(const Block& block, Field field, const GzipStream& stream) {
  std::string_view text = text_of(block, field);
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  require(error == std::errc{}, stream.name(), "not a tar archive: no octal number in the header before unpacked byte ",
          stream.at());
  return value;
}

void verify_checksum(const Block& block, const GzipStream& stream) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    const bool is_checksum = i >= kChecksum.at && i < kChecksum.at + kChecksum.length;
    sum += is_checksum ? static_cast<std::uint64_t>(' ') : std::to_integer<std::uint64_t>(block[i]);
  }
  require(sum == octal_of(block, kChecksum, stream), stream.name(),
          "not a tar archive, or damaged: header checksum fails before unpacked byte ", stream.at());
}

}  // namespace

ArchiveFiles read_tar_gz(const std::filesystem::path& path, const std::vector<std::string>& wanted) {
  require(std::filesystem::exists(path), path.string(), "no such file");
  GzipStream stream(path);
  ArchiveFiles files;
  Block block{};
  while (const std::size_t got = stream.read(block)) {
    require(got == kBlock, stream.name(), "truncated archive: it ends inside a header");
    if (std::ranges::all_of(block, [](std::byte byte) { return byte == std::byte{0}; })) continue;
    verify_checksum(block, stream);
    const std::uint64_t size = octal_of(block, kSize, stream);
    require(size <= kMaxMemberBytes, stream.name(), "member of ", size, " bytes is too large");
    const std::uint64_t padding = (kBlock - size % kBlock) % kBlock;
    const auto type = std::to_integer<char>(block[kTypeAt]);
    const std::string name = std::filesystem::path(text_of(block, kName)).filename();
    const bool is_wanted = (type == '0' || type == '\0') && std::ranges::find(wanted, name) != wanted.end();
    if (is_wanted) {
      std::vector<std::byte>& bytes = files[name];
      bytes.resize(size);
      stream.read_all(bytes);
      stream.skip(padding);
    } else {
      stream.skip(size + padding);
    }
  }
  return files;
}

}  // namespace deq
