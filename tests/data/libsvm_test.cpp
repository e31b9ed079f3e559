#include "data/libsvm.h"

#include <bzlib.h>
#include <doctest/doctest.h>
#include <zlib.h>

#include <cmath>
#include <cstdlib>
#include <iostream>
#include <map>
#include <numeric>

#include "data/compressed_file.h"
#include "data/file.h"
#include "tests/data/temporary_folder.h"

namespace deq {
namespace {

using testing::request_error_of;
using testing::TemporaryFolder;

std::string error_of(const std::string& text) {
  return request_error_of([&] { return parse_libsvm(text, "x.txt"); });
}

void write_text(const std::filesystem::path& path, std::string_view text) {
  write_file(path, std::as_bytes(std::span(text)));
}

std::string bzip2_of(std::string text) {
  std::string out(text.size() + text.size() / 100 + 600, '\0');
  auto length = static_cast<unsigned>(out.size());
  REQUIRE(BZ2_bzBuffToBuffCompress(out.data(), &length, text.data(), static_cast<unsigned>(text.size()), 9, 0, 0) ==
          BZ_OK);
  out.resize(length);
  return out;
}

std::string gzip_of(std::string text) {
  std::string out(text.size() + text.size() / 100 + 600, '\0');
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(text.data());
  stream.avail_in = static_cast<unsigned>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<unsigned>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST_CASE("LIBSVM text is read with its comments, blank lines and spellings of numbers") {
  const Samples samples = parse_libsvm("+1 1:0.5 3:-2e-1 \n\n# nothing here\n-1\t2:7 # the rest\r\n3.5 \n0 3:+1", "x");
  CHECK(samples.labels == std::vector<double>{1, -1, 3.5, 0});
  CHECK(samples.features.columns() == 3);
  CHECK(samples.features.to_dense() == std::vector<double>{0.5, 0, -0.2, 0, 7, 0, 0, 0, 0, 0, 0, 1});
}

TEST_CASE("a malformed LIBSVM line is refused with file, line and column") {
  const std::pair<const char*, const char*> cases[] = {
      {"1 1:2\n1 2:x\n", "x.txt:2:5: value 'x' is not a number"},
      {"1 1:2 2\n", "x.txt:1:8: expected ':' after index 2"},
      {"1 1 2:3\n", "x.txt:1:4: expected ':' after index 1"},
      {"1 0:2\n", "x.txt:1:3: index 0; indices start at 1"},
      {"1 -3:2\n", "x.txt:1:3: index -3"},
      {"1 3:2 2:1\n", "x.txt:1:7: index 2 after 3; indices must ascend"},
      {"1 3:2 3:1\n", "x.txt:1:7: index 3 after 3"},
      {"1 1:nan\n", "x.txt:1:5: value 'nan' is not finite"},
      {"1 1:-inf\n", "x.txt:1:5: value '-inf' is not finite"},
      {"1 1:1e999\n", "x.txt:1:5: value '1e999' is beyond double precision"},
      {"1 1:2\n  1:2 3:4\n", "x.txt:2:3: the label is missing"},
      {"one 1:2\n", "x.txt:1:1: label 'one' is not a number"},
      {"nan 1:2\n", "x.txt:1:1: label 'nan' is not finite"},
      {"1 1:2,5\n", "x.txt:1:5: value '2,5' is not a number"},
      {"1 1:\n2 1:1\n", "x.txt:1:5: value '' is not a number"},
      {"1 a:1\n", "x.txt:1:3: expected index:value, found 'a:1'"},
      {"1 4294967296:1\n", "x.txt:1:3: index 4294967296 is too large"},
      {"1 1:1 100000001:1\n", "x.txt:1:7: index 100000001 is too large; expected at most 100000000"},
      {"1 99999999999999999999:1\n", "x.txt:1:3: expected index:value"},
      {"# only this\n\n", "x.txt: holds no samples"},
      {"", "x.txt: holds no samples"}};
  for (const auto& [text, expected] : cases) {
    INFO(text);
    CHECK(error_of(text).find(expected) == 0);
  }
}

TEST_CASE("packed text is unpacked whatever its name and however many members it has") {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 50000; ++i) text += std::to_string(i * 7919 % 100003) + '\n';
  for (const bool is_bzip2 : {true, false}) {
    const auto pack = is_bzip2 ? bzip2_of : gzip_of;
    const std::string packed = pack(text);
    write_text(folder / "x", packed + pack("end"));
    CHECK(read_text(folder / "x") == text + "end");
    for (const std::size_t length : {packed.size() / 2, packed.size() - 1, std::size_t{5}}) {
      write_text(folder / "x", std::string_view(packed).substr(0, length));
      CHECK(request_error_of([&] { return read_text(folder / "x"); }).find("damaged or cut short") !=
            std::string::npos);
    }
    std::string damaged = packed;
    damaged[damaged.size() / 2] ^= 0x55;
    write_text(folder / "x", damaged);
    CHECK(request_error_of([&] { return read_text(folder / "x"); }).find("damaged") != std::string::npos);
  }
  write_text(folder / "x", text);
  CHECK(read_text(folder / "x") == text);
  CHECK(request_error_of([&] { return read_text(folder / "absent"); }).find("absent") != std::string::npos);
}

std::map<double, int> counts_of(const std::vector<double>& labels) {
  std::map<double, int> counts;
  for (const double label : labels) ++counts[label];
  return counts;
}

TEST_CASE("the published LIBSVM sets have their published sizes") {
  const char* const directory = std::getenv("DEQ_DATA_DIR");
  if (directory == nullptr) {
    std::cout << "SKIPPED: DEQ_DATA_DIR is not set\n";
    return;
  }
  const std::filesystem::path folder(directory);
  const Samples a9a = read_libsvm(folder / "libsvm" / "a9a");
  CHECK(a9a.features.rows() == 32561);
  CHECK(a9a.features.columns() == 123);
  CHECK(a9a.features.nonzeros() == 451592);
  CHECK(counts_of(a9a.labels) == std::map<double, int>{{-1, 24720}, {1, 7841}});
  const Samples heart = read_libsvm(folder / "libsvm" / "heart_scale");
  CHECK(heart.features.nonzeros() == 3378);
  CHECK(counts_of(heart.labels) == std::map<double, int>{{-1, 150}, {1, 120}});
  const Samples news = read_libsvm(folder / "20news" / "20news_vectorized.train.bz2");
  CHECK(news.features.rows() == 11314);
  CHECK(news.features.columns() == 130107);
  CHECK(news.features.nonzeros() == 1787565);
}

}  // namespace
}  // namespace deq
