#include "data/npy.h"

#include <doctest/doctest.h>

#include <cstring>

#include "tests/data/temporary_folder.h"

namespace deq {
namespace {

using testing::request_error_of;
using testing::TemporaryFolder;

std::vector<std::byte> file_of(const std::string& header, std::size_t data_bytes) {
  std::string text = std::string("\x93NUMPY\x01", 7) + '\0';
  const auto length = static_cast<std::uint16_t>(header.size());
  text.append(reinterpret_cast<const char*>(&length), 2);
  text += header;
  std::vector<std::byte> bytes(text.size() + data_bytes);
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

std::string error_of(const std::string& header, std::size_t data_bytes) {
  return request_error_of([&] { return decode_npy(file_of(header, data_bytes), "x.npy"); });
}

TEST_CASE("every element type and rank comes back from a .npy file") {
  const TemporaryFolder folder;
  for (const DType dtype : {DType::f32, DType::f64, DType::i32, DType::i64, DType::u8}) {
    for (const Shape& shape : {Shape{}, Shape{3}, Shape{2, 3}, Shape{0, 4}, Shape{1, 2, 1, 3}}) {
      Tensor written(dtype, shape);
      for (std::size_t i = 0; i < written.bytes(); ++i) written.raw()[i] = static_cast<std::byte>(i * 7 + 1);
      write_npy(folder / "x.npy", written);
      const Tensor read = read_npy(folder / "x.npy");
      CHECK(read.type() == written.type());
      CHECK(std::memcmp(read.raw(), written.raw(), written.bytes()) == 0);
    }
  }
}

TEST_CASE("the data of a .npy file starts at a multiple of 64 bytes, as NumPy writes it") {
  const auto bytes = encode_npy(Tensor(DType::u8, {5}));
  CHECK((bytes.size() - 5) % 64 == 0);
}

TEST_CASE("a .npy file cut at any byte is refused by name") {
  const auto bytes = encode_npy(Tensor(DType::f32, {2, 3}));
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    INFO(length);
    const auto message = request_error_of([&] { return decode_npy(std::span(bytes).first(length), "x.npy"); });
    CHECK(message.find("x.npy") == 0);
  }
}

TEST_CASE("wrong .npy headers are refused with their reason") {
  const std::string end = ", 'shape': (2,), }\n";
  CHECK(error_of("{'descr': '<f4', 'fortran_order': False" + end, 8).empty());
  CHECK(error_of("{'descr': '<f4', 'fortran_order': False" + end, 9).find("holds 9 bytes") != std::string::npos);
  CHECK(error_of("{'descr': '>f4', 'fortran_order': False" + end, 8).find("'>f4'") != std::string::npos);
  CHECK(error_of("{'descr': '<f4', 'fortran_order': True" + end, 8).find("Fortran") != std::string::npos);
  CHECK(error_of("{'descr': '<f4'" + end, 8).find("lacks") != std::string::npos);
  CHECK(error_of("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", 8).find("an extent") !=
        std::string::npos);
  CHECK(error_of("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", 0).find("large") !=
        std::string::npos);
}

}  // namespace
}  // namespace deq
