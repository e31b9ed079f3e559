#include "data/digest.h"

#include <openssl/evp.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <vector>

#include "core/error.h"

namespace deq {
namespace {

/// A digest that grows.
class Digest {
 public:
  explicit Digest(const EVP_MD* kind) : context_(EVP_MD_CTX_new()) {
    check(context_ != nullptr && EVP_DigestInit_ex(context_.get(), kind, nullptr) == 1, "data",
          "the library of digests does not start");
  }
  void add(std::span<const std::byte> bytes) {
    check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1, "data", "a digest failed");
  }
  [[nodiscard]] std::string hexadecimal() {
    constexpr std::string_view kDigits = "0123456789abcdef";
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    check(EVP_DigestFinal_ex(context_.get(), bytes, &size) == 1, "data", "a digest failed");
    std::string out;
    for (unsigned i = 0; i < size; ++i) out += {kDigits[bytes[i] >> 4], kDigits[bytes[i] & 15]};
    return out;
  }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

}  // namespace

std::string sha256_of(const std::filesystem::path& path) {
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  require(std::filesystem::exists(path), path.string(), "no such file");
  require(std::filesystem::is_regular_file(path), path.string(), "not a regular file");
  std::ifstream in(path, std::ios::binary);
  require(in.is_open(), path.string(), "cannot be opened: ", std::strerror(errno));
  Digest digest(EVP_sha256());
  std::vector<std::byte> piece(kPiece);
  while (in) {
    in.read(reinterpret_cast<char*>(piece.data()), static_cast<std::streamsize>(piece.size()));
    digest.add(std::span(piece).first(static_cast<std::size_t>(in.gcount())));
  }
  require(in.eof(), path.string(), "cannot be read to its end: ", std::strerror(errno));
  return digest.hexadecimal();
}

std::string md5_of(std::span<const std::byte> bytes) {
  Digest digest(EVP_md5());
  digest.add(bytes);
  return digest.hexadecimal();
}

}  // namespace deq
