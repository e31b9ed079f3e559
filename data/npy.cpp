#include "data/npy.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

#include "data/file.h"

namespace deq {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kAlignment = 64;

constexpr std::array<std::pair<DType, std::string_view>, 5> kTypes = {
    {{DType::f32, "<f4"}, {DType::f64, "<f8"}, {DType::i32, "<i4"}, {DType::i64, "<i8"}, {DType::u8, "|u1"}}};

/// The header: a Python dictionary literal of the three known keys.
struct Header {
  std::string descr;
  bool is_fortran = false;
  std::vector<std::int64_t> shape;
};

/// Reads just the Python that NumPy writes: quoted strings, True, False, tuples of counts.
class HeaderReader {
 public:
  HeaderReader(std::string_view text, std::string name) : text_(text), name_(std::move(name)) {}

  Header read() {
    Header header;
    int seen = 0;
    expect('{');
    while (!accept('}')) {
      const std::string key = read_string();
      expect(':');
      if (key == "descr") {
        header.descr = read_string();
        seen |= 1;
      } else if (key == "fortran_order") {
        header.is_fortran = read_bool();
        seen |= 2;
      } else if (key == "shape") {
        header.shape = read_tuple();
        seen |= 4;
      } else {
        fail("a known key");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    require(seen == 7, name_, "the header lacks descr, fortran_order or shape");
    return header;
  }

 private:
  [[noreturn]] void fail(std::string_view expected) const {
    throw RequestError(concat(name_, ": header byte ", at_, ": expected ", expected));
  }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool accept(char wanted) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted)) fail(std::string{'\'', wanted, '\''});
  }
  std::string read_string() {
    const char quote = accept('\'') ? '\'' : '"';
    if (quote == '"') expect('"');
    const auto end = text_.find(quote, at_);
    if (end == std::string_view::npos) fail("a closing quote");
    std::string out(text_.substr(at_, end - at_));
    at_ = end + 1;
    return out;
  }
  bool read_bool() {
    skip_space();
    for (const auto& [word, value] : {std::pair{std::string_view("True"), true}, {std::string_view("False"), false}}) {
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return value;
    }
    fail("True or False");
  }
  std::vector<std::int64_t> read_tuple() {
    std::vector<std::int64_t> out;
    expect('(');
    while (!accept(')')) {
      skip_space();
      std::int64_t extent = 0;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), extent);
      if (error != std::errc{} || extent < 0) fail("an extent");
      at_ = static_cast<std::size_t>(end - text_.data());
      out.push_back(extent);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return out;
  }

  std::string_view text_;
  std::string name_;
  std::size_t at_ = 0;
};

TensorType type_of(const Header& header, const std::string& name) {
  const std::string_view descr = header.descr == "<u1" ? "|u1" : std::string_view(header.descr);
  const auto* found = std::ranges::find(kTypes, descr, &std::pair<DType, std::string_view>::second);
  require(found != kTypes.end(), name, "elements of type '", header.descr,
          "'; expected one of <f4, <f8, <i4, <i8, |u1 (little-endian)");
  require(!header.is_fortran, name, "stored in Fortran order; save it with numpy.ascontiguousarray");
  require(header.shape.size() <= Shape::kMaxRank, name, "rank ", header.shape.size(), " exceeds the limit of ",
          Shape::kMaxRank);
  auto bytes = static_cast<std::int64_t>(size_of(found->first));
  for (const std::int64_t extent : header.shape)
    require(!__builtin_mul_overflow(bytes, extent, &bytes), name, "the shape is too large");
  return {found->first, Shape(header.shape)};
}

}  // namespace

Tensor decode_npy(std::span<const std::byte> bytes, const std::string& name) {
  const std::size_t fixed = kMagic.size() + 2;
  require(bytes.size() >= fixed && std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0, name,
          "not a .npy file (no NUMPY mark at its start)");
  const int version = std::to_integer<int>(bytes[kMagic.size()]);
  require(1 <= version && version <= 3, name, "format ", version, "; expected 1, 2 or 3");
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  require(bytes.size() >= fixed + length_bytes, name, "truncated at byte ", bytes.size(), ", in the header length");
  std::uint32_t length = 0;
  std::memcpy(&length, bytes.data() + fixed, length_bytes);
  const std::size_t start = fixed + length_bytes;
  require(length <= bytes.size() - start, name, "truncated at byte ", bytes.size(), ": the header ends at byte ",
          start + length);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + start, length);
  const TensorType type = type_of(HeaderReader(text, name).read(), name);
  const std::size_t held = bytes.size() - start - length;
  require(held == type.bytes(), name, "holds ", held, " bytes of data; ", type, " takes ", type.bytes());
  Tensor tensor(type);
  if (held > 0) std::memcpy(tensor.raw(), bytes.data() + start + length, held);
  return tensor;
}

Tensor read_npy(const std::filesystem::path& path) { return decode_npy(read_file(path), path.string()); }

std::vector<std::byte> encode_npy(const Tensor& tensor) {
  const auto* found = std::ranges::find(kTypes, tensor.dtype(), &std::pair<DType, std::string_view>::first);
  check(found != kTypes.end(), "npy", "elements of type ", name_of(tensor.dtype()), " cannot be stored");
  std::string header = concat("{'descr': '", found->second, "', 'fortran_order': False, 'shape': (");
  for (int i = 0; i < tensor.shape().rank(); ++i)
    header += concat(i ? " " : "", tensor.shape()[i], i == 0 || i + 1 < tensor.shape().rank() ? "," : "");
  header += "), }";
  const std::size_t fixed = kMagic.size() + 4;
  header.append(kAlignment - (fixed + header.size() + 1) % kAlignment, ' ');
  header += '\n';
  const auto length = static_cast<std::uint16_t>(header.size());
  std::string start = concat(kMagic, '\x01', '\0');
  start.append(reinterpret_cast<const char*>(&length), sizeof length);
  start += header;
  std::vector<std::byte> bytes(start.size() + tensor.bytes());
  std::memcpy(bytes.data(), start.data(), start.size());
  if (tensor.bytes() > 0) std::memcpy(bytes.data() + start.size(), tensor.raw(), tensor.bytes());
  return bytes;
}

void write_npy(const std::filesystem::path& path, const Tensor& tensor) { write_file(path, encode_npy(tensor)); }

}  // namespace deq
