#include "data/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "data/file.h"
#include "data/json_depth.h"

namespace deq {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

constexpr std::size_t kLengthBytes = 8;
/// The limit of the reference implementation: guards against reading garbage as a length.
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;

constexpr std::array<std::pair<DType, std::string_view>, 5> kTypes = {
    {{DType::f32, "F32"}, {DType::f64, "F64"}, {DType::i64, "I64"}, {DType::i32, "I32"}, {DType::u8, "U8"}}};

std::string_view format_name(DType dtype) {
  const auto* found = std::ranges::find(kTypes, dtype, &std::pair<DType, std::string_view>::first);
  check(found != kTypes.end(), "safetensors", "elements of type ", name_of(dtype), " cannot be stored");
  return found->second;
}

/// Where one tensor lies in the data part of the file.
struct Entry {
  std::string name;
  TensorType type;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// `where` of the error messages for one entry.
std::string place(const std::string& file, const std::string& tensor) {
  return concat(file, ": tensor \"", tensor, '"');
}

DType parse_dtype(const nlohmann::json& entry, const std::string& where) {
  const auto dtype = entry.find("dtype");
  require(dtype != entry.end() && dtype->is_string(), where, "expected a string \"dtype\"");
  const auto name = dtype->get<std::string>();
  const auto* found = std::ranges::find(kTypes, name, &std::pair<DType, std::string_view>::second);
  require(found != kTypes.end(), where, "element type ", name, " is not one of F32, F64, I64, I32, U8");
  return found->first;
}

/// The type of an entry; its size in bytes is known to fit in 63 bits.
TensorType parse_type(const nlohmann::json& entry, const std::string& where) {
  const DType dtype = parse_dtype(entry, where);
  const auto shape = entry.find("shape");
  require(shape != entry.end() && shape->is_array(), where, "expected an array \"shape\"");
  require(shape->size() <= Shape::kMaxRank, where, "rank ", shape->size(), " exceeds the limit of ", Shape::kMaxRank);
  std::vector<std::int64_t> extents;
  auto bytes = static_cast<std::int64_t>(size_of(dtype));
  for (const auto& extent : *shape) {
    require(extent.is_number_unsigned() && extent.get<std::uint64_t>() <= INT64_MAX, where, "extent ", extent.dump(),
            " in \"shape\" is not a count");
    extents.push_back(extent.get<std::int64_t>());
    require(!__builtin_mul_overflow(bytes, extents.back(), &bytes), where, "shape ", shape->dump(), " is too large");
  }
  return {dtype, Shape(extents)};
}

Entry parse_entry(const std::string& name, const nlohmann::json& value, const std::string& file) {
  const std::string where = place(file, name);
  require(value.is_object(), where, "expected an object with dtype, shape and data_offsets");
  Entry entry{.name = name, .type = parse_type(value, where)};
  const auto offsets = value.find("data_offsets");
  require(offsets != value.end() && offsets->is_array() && offsets->size() == 2 && (*offsets)[0].is_number_unsigned() &&
              (*offsets)[1].is_number_unsigned(),
          where, "expected \"data_offsets\": [begin, end]");
  entry.begin = (*offsets)[0].get<std::uint64_t>();
  entry.end = (*offsets)[1].get<std::uint64_t>();
  require(entry.begin <= entry.end && entry.end - entry.begin == entry.type.bytes(), where, "offsets ", entry.begin,
          "..", entry.end, " do not hold ", entry.type, " (", entry.type.bytes(), " bytes)");
  return entry;
}

/// The header as JSON. Repeated names are refused, because one of the two would silently be lost.
nlohmann::json parse_header(std::span<const std::byte> text, const std::string& name) {
  const auto* chars = reinterpret_cast<const char*>(text.data());
  require(!is_nested_too_deep({chars, text.size()}), name, "the header nests its values deeper than ", kMostJsonLevels,
          " levels");
  std::set<std::string> names;
  std::optional<std::string> repeated;
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    if (depth == 1 && event == nlohmann::json::parse_event_t::key &&
        !names.insert(parsed.get_ref<const std::string&>()).second)
      repeated = parsed.get<std::string>();
    return true;
  };
  try {
    auto header = nlohmann::json::parse(chars, chars + text.size(), watch);
    require(!repeated, name, "the header names \"", repeated.value_or(""), "\" twice");
    require(header.is_object(), name, "byte ", kLengthBytes, ": the header is not a JSON object");
    return header;
  } catch (const nlohmann::json::parse_error& error) {
    throw RequestError(concat(name, ": byte ", kLengthBytes + error.byte, ": the header is not JSON: ", error.what()));
  }
}

std::map<std::string, std::string> parse_metadata(const nlohmann::json& value, const std::string& name) {
  require(value.is_object(), name, "\"__metadata__\" is not an object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    require(text.is_string(), name, "metadata \"", key, "\" is not a string");
    metadata.emplace(key, text.get<std::string>());
  }
  return metadata;
}

/// Copies the tensors out of `data`, which must be covered exactly once. `start` is the byte of the file it begins at.
void read_tensors(SafetensorsFile& file, std::vector<Entry> entries, std::span<const std::byte> data,
                  std::uint64_t start, const std::string& name) {
  std::ranges::sort(entries, {}, [](const Entry& entry) { return std::pair(entry.begin, entry.end); });
  std::uint64_t covered = 0;
  for (const Entry& entry : entries) {
    const std::string where = place(name, entry.name);
    require(entry.end <= data.size(), where, "needs bytes ", start + entry.begin, "..", start + entry.end,
            ", but the file ends at byte ", start + data.size());
    require(entry.begin >= covered, where, "overlaps the tensor before it at byte ", start + entry.begin);
    require(entry.begin == covered, where, "bytes ", start + covered, "..", start + entry.begin,
            " before it belong to no tensor");
    covered = entry.end;
    Tensor tensor(entry.type);
    if (entry.end > entry.begin) std::memcpy(tensor.raw(), data.data() + entry.begin, entry.end - entry.begin);
    file.tensors.emplace(entry.name, std::move(tensor));
  }
  require(covered == data.size(), name, "byte ", start + covered, ": ", data.size() - covered,
          " bytes after the last tensor");
}

}  // namespace

SafetensorsFile decode_safetensors(std::span<const std::byte> bytes, const std::string& name) {
  require(bytes.size() >= kLengthBytes, name, "truncated at byte ", bytes.size(), ": expected a header length of ",
          kLengthBytes, " bytes");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  require(length <= kMaxHeaderBytes, name, "byte 0: header length ", length, " exceeds the limit of ", kMaxHeaderBytes,
          "; not a safetensors file?");
  require(length <= bytes.size() - kLengthBytes, name, "truncated at byte ", bytes.size(), ": the header ends at byte ",
          kLengthBytes + length);
  const auto header = parse_header(bytes.subspan(kLengthBytes, length), name);
  SafetensorsFile file;
  std::vector<Entry> entries;
  for (const auto& [key, value] : header.items()) {
    if (key == "__metadata__")
      file.metadata = parse_metadata(value, name);
    else
      entries.push_back(parse_entry(key, value, name));
  }
  const std::uint64_t start = kLengthBytes + length;
  read_tensors(file, std::move(entries), bytes.subspan(start), start, name);
  return file;
}

SafetensorsFile read_safetensors(const std::filesystem::path& path) {
  return decode_safetensors(read_file(path), path.string());
}

std::vector<std::span<const std::byte>> SafetensorsPieces::all() const {
  std::vector<std::span<const std::byte>> out{header};
  for (const Tensor& tensor : tensors) out.emplace_back(tensor.raw(), tensor.bytes());
  return out;
}

SafetensorsPieces lay_out_safetensors(const SafetensorsFile& file) {
  std::vector<std::pair<std::string, Tensor>> ordered(file.tensors.begin(), file.tensors.end());
  std::ranges::stable_sort(ordered, std::greater{}, [](const auto& item) { return size_of(item.second.dtype()); });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  std::size_t offset = 0;
  for (const auto& [name, tensor] : ordered) {
    check(name != "__metadata__", "safetensors", "a tensor cannot be called __metadata__");
    const auto extents = tensor.shape().extents();
    header[name] = {{"dtype", format_name(tensor.dtype())},
                    {"shape", std::vector<std::int64_t>(extents.begin(), extents.end())},
                    {"data_offsets", {offset, offset + tensor.bytes()}}};
    offset += tensor.bytes();
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception& error) {
    throw Error(concat("safetensors: names and metadata must be UTF-8: ", error.what()));
  }
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');
  const std::uint64_t length = text.size();
  SafetensorsPieces out{.header = std::vector<std::byte>(kLengthBytes + length), .tensors = {}};
  std::memcpy(out.header.data(), &length, kLengthBytes);
  std::memcpy(out.header.data() + kLengthBytes, text.data(), length);
  for (const auto& [name, tensor] : ordered) out.tensors.push_back(tensor);
  return out;
}

std::vector<std::byte> encode_safetensors(const SafetensorsFile& file) {
  const SafetensorsPieces pieces = lay_out_safetensors(file);
  std::vector<std::byte> out;
  for (const std::span<const std::byte> piece : pieces.all()) out.insert(out.end(), piece.begin(), piece.end());
  return out;
}

void write_safetensors(const std::filesystem::path& path, const SafetensorsFile& file) {
  write_file(path, encode_safetensors(file));
}

}  // namespace deq
