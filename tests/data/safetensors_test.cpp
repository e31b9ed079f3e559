#include "data/safetensors.h"

#include <doctest/doctest.h>

#include <cstring>

#include "data/file.h"
#include "tests/data/temporary_folder.h"

namespace deq {
namespace {

using testing::request_error_of;
using testing::TemporaryFolder;

SafetensorsFile example() {
  SafetensorsFile file;
  file.tensors["weight"] = Tensor::of<float>({2, 3}, std::vector<float>{1, -2, 3.5F, 0, 1e-30F, 7});
  file.tensors["a.double"] = Tensor::scalar(3.25);
  file.tensors["labels"] = Tensor::of<std::int32_t>({3}, std::vector<std::int32_t>{-1, 0, 9});
  file.tensors["step"] = Tensor::of<std::int64_t>({1}, std::vector<std::int64_t>{1LL << 40});
  file.tensors["bytes"] = Tensor::of<std::uint8_t>({5}, std::vector<std::uint8_t>{0, 1, 2, 254, 255});
  file.tensors["none"] = Tensor(DType::f32, {0, 4});
  file.metadata = {{"format", "deq"}, {"config", "a = 1\n[b]\n\"quoted\" é"}};
  return file;
}

std::vector<std::byte> with_header(const std::string& header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::vector<std::byte> bytes(8 + header.size() + data_bytes);
  std::memcpy(bytes.data(), &length, 8);
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  return bytes;
}

std::string error_of(const std::string& header, std::size_t data_bytes) {
  return request_error_of([&] { return decode_safetensors(with_header(header, data_bytes), "file"); });
}

TEST_CASE("values nested without end are refused") {
  const std::string deep(100'000, '['), end(100'000, ']');
  CHECK(error_of(R"({"w":{"dtype":"F32","shape":[)" + deep + end + R"(],"data_offsets":[0,4]}})", 4).find("nests") !=
        std::string::npos);
  CHECK(error_of(deep, 0).find("nests") != std::string::npos);
  // Brackets in a string lie in nothing.
  CHECK(error_of("{\"" + deep + "\\\"[\":5}", 0).find("expected an object") != std::string::npos);
}

TEST_CASE("a safetensors file comes back as it was written") {
  const TemporaryFolder folder;
  const auto written = example();
  write_safetensors(folder / "a.safetensors", written);
  const auto read = read_safetensors(folder / "a.safetensors");
  CHECK(read.metadata == written.metadata);
  REQUIRE(read.tensors.size() == written.tensors.size());
  for (const auto& [name, tensor] : written.tensors) {
    INFO(name);
    const auto& found = read.tensors.at(name);
    CHECK(found.type() == tensor.type());
    CHECK(std::memcmp(found.raw(), tensor.raw(), tensor.bytes()) == 0);
  }
  CHECK(encode_safetensors(read) == encode_safetensors(written));
}

TEST_CASE("a file without tensors and metadata is valid") {
  const auto bytes = encode_safetensors({});
  CHECK(decode_safetensors(bytes, "file").tensors.empty());
}

TEST_CASE("a safetensors file cut at any byte is refused by name") {
  const auto bytes = encode_safetensors(example());
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    INFO(length);
    const auto message =
        request_error_of([&] { return decode_safetensors(std::span(bytes).first(length), "model.safetensors"); });
    CHECK(message.find("model.safetensors") == 0);
  }
}

TEST_CASE("a safetensors file with any byte of its header changed is read or refused, nothing else") {
  const auto good = encode_safetensors(example());
  std::uint64_t length = 0;
  std::memcpy(&length, good.data(), 8);
  for (std::size_t at = 0; at < 8 + length; ++at) {
    for (const unsigned change : {0x01U, 0x10U, 0x80U}) {
      auto bytes = good;
      bytes[at] ^= static_cast<std::byte>(change);
      request_error_of([&] { return decode_safetensors(bytes, "file"); });
    }
  }
}

TEST_CASE("wrong safetensors headers are refused with their reason") {
  const std::string a = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  CHECK(error_of(a + "}", 8).empty());
  CHECK(error_of(a + "}", 9).find("after the last tensor") != std::string::npos);
  CHECK(error_of(a + "}", 7).find("the file ends at byte") != std::string::npos);
  CHECK(error_of(a + R"(,"a":{"dtype":"U8","shape":[0],"data_offsets":[8,8]}})", 8).find("twice") != std::string::npos);
  CHECK(error_of(a + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8).find("overlaps") !=
        std::string::npos);
  CHECK(error_of(a + R"(,"b":{"dtype":"U8","shape":[1],"data_offsets":[9,10]}})", 10).find("belong to no tensor") !=
        std::string::npos);
  CHECK(error_of(R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}})", 4).find("F16") != std::string::npos);
  CHECK(error_of(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8).find("extent -2") !=
        std::string::npos);
  CHECK(
      error_of(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0).find("too large") !=
      std::string::npos);
  CHECK(error_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8).find("do not hold") !=
        std::string::npos);
  CHECK(error_of(R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1],"data_offsets":[0,4]}})", 4).find("rank 7") !=
        std::string::npos);
  CHECK(error_of(R"({"__metadata__":{"a":1}})", 0).find("not a string") != std::string::npos);
  CHECK(error_of("[]", 0).find("not a JSON object") != std::string::npos);
  CHECK(error_of("{", 0).find("not JSON") != std::string::npos);
}

TEST_CASE("a missing safetensors file is named") {
  const auto message = request_error_of([] { return read_safetensors("/no/such/file.safetensors"); });
  CHECK(message.find("/no/such/file.safetensors: no such file") == 0);
}

}  // namespace
}  // namespace deq
