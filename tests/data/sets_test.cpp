#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "data/archive.h"
#include "data/cifar10.h"
#include "data/digits.h"
#include "data/file.h"
#include "data/image.h"
#include "data/image_folder.h"
#include "data/shapes.h"
#include "tests/data/temporary_folder.h"

namespace deq {
namespace {

using testing::request_error_of;
using testing::TemporaryFolder;

std::vector<int> class_counts(const Dataset& set) {
  std::vector<int> counts(set.info().class_names.size());
  for (std::int64_t i = 0; i < set.size(); ++i) ++counts[static_cast<std::size_t>(set.sample(i).label)];
  return counts;
}

/// The folder of real data sets, or null after saying that the test is skipped.
const char* data_folder() {
  const char* folder = std::getenv("DEQ_DATA_DIR");
  if (folder == nullptr) std::cout << "SKIPPED: DEQ_DATA_DIR is not set\n";
  return folder;
}

/// A tar archive (ustar) of one file in a folder.
std::string tar_of(const std::string& name, const std::string& text) {
  std::string header(512, '\0');
  name.copy(header.data(), 100);
  std::array<char, 12> size{};
  std::snprintf(size.data(), size.size(), "%011o", static_cast<unsigned>(text.size()));
  std::copy(size.begin(), size.end(), header.begin() + 124);
  header[156] = '0';
  std::fill_n(header.begin() + 148, 8, ' ');
  unsigned sum = 0;
  for (const char letter : header) sum += static_cast<unsigned char>(letter);
  std::array<char, 8> checksum{};
  std::snprintf(checksum.data(), checksum.size(), "%06o", sum);
  std::copy(checksum.begin(), checksum.end(), header.begin() + 148);
  return header + text + std::string((512 - text.size() % 512) % 512 + 1024, '\0');
}

void write_gzip(const std::filesystem::path& path, const std::string& text) {
  gzFile file = gzopen(path.c_str(), "wb");
  REQUIRE(file != nullptr);
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
}

TEST_CASE("files come out of a .tar.gz by base name") {
  const TemporaryFolder folder;
  write_gzip(folder / "a.tar.gz", tar_of("inner/a.txt", "hello"));
  const auto files = read_tar_gz(folder / "a.tar.gz", {"a.txt", "b.txt"});
  REQUIRE(files.size() == 1);
  CHECK(files.at("a.txt").size() == 5);
  CHECK(read_tar_gz(folder / "a.tar.gz", {"c.txt"}).empty());
}

TEST_CASE("a .tar.gz cut at any byte, damaged, or no archive is refused by name") {
  const TemporaryFolder folder;
  write_gzip(folder / "a.tar.gz", tar_of("a.txt", "hello, this is a member"));
  const auto bytes = read_file(folder / "a.tar.gz");
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    INFO(length);
    write_file(folder / "cut.tar.gz", std::span(bytes).first(length));
    CHECK(request_error_of([&] { return read_tar_gz(folder / "cut.tar.gz", {"a.txt"}); }).find("cut.tar.gz") !=
          std::string::npos);
  }
  auto damaged = bytes;
  damaged[bytes.size() - 6] ^= std::byte{1};  // in the checksum
  write_file(folder / "bad.tar.gz", damaged);
  CHECK_FALSE(request_error_of([&] { return read_tar_gz(folder / "bad.tar.gz", {"a.txt"}); }).empty());
  write_gzip(folder / "text.tar.gz", std::string(600, 'x'));
  CHECK(request_error_of([&] { return read_tar_gz(folder / "text.tar.gz", {"a.txt"}); }).find("not a tar archive") !=
        std::string::npos);
}

TEST_CASE("missing and truncated CIFAR-10 files are named with what was expected and how to get them") {
  const TemporaryFolder folder;
  CHECK(request_error_of([&] { return read_cifar10(folder.path(), Split::test); }).find("deq data fetch cifar10") !=
        std::string::npos);
  std::filesystem::create_directories(folder / "cifar-10/cifar-10-batches-bin");
  CHECK(request_error_of([&] { return read_cifar10(folder.path(), Split::test); }).find("test_batch.bin: no such") !=
        std::string::npos);
  write_file(folder / "cifar-10/cifar-10-batches-bin/test_batch.bin", std::vector<std::byte>(100));
  CHECK(request_error_of([&] { return read_cifar10(folder.path(), Split::test); }).find("expected 30730000") !=
        std::string::npos);
}

TEST_CASE("a set that is read from files asks for a folder, and says how to name one") {
  const std::string message = request_error_of([] { return open_dataset("cifar10", "", Split::test); });
  for (const char* part : {"no data folder was given", "--data", "data.path", "DEQ_DATA_DIR", "deq data fetch cifar10"})
    CHECK(message.find(part) != std::string::npos);
  CHECK(request_error_of([] { return open_dataset("folder", "", Split::test); }).ends_with("DEQ_DATA_DIR"));
  CHECK(request_error_of([] { return open_dataset("shapes", "", Split::test, {.size = 1}); }).empty());
}

TEST_CASE("CIFAR-10 in an archive holds its images and class counts") {
  const char* folder = data_folder();
  if (folder == nullptr) return;
  const auto test = read_cifar10(folder, Split::test);
  CHECK(class_counts(*test) == std::vector<int>(10, 1000));
  const auto train = read_cifar10(std::filesystem::path(folder) / "cifar-10", Split::train);
  CHECK(class_counts(*train) == std::vector<int>(10, 5000));
}

TEST_CASE("the set called digits has its grey in three channels") {
  const TemporaryFolder folder;
  std::string row;
  for (int pixel = 0; pixel < 64; ++pixel) row += std::to_string(pixel % 17) + ",";
  std::ofstream(folder.path() / "optdigits.tra") << row << "7\n";
  const auto set = open_dataset("digits", folder.path(), Split::train);
  CHECK(set->info().image_shape == Shape{8, 8, 3});
  CHECK(set->info().normalisation.mean.size() == 3);
  REQUIRE(set->size() == 1);
  const Sample sample = set->sample(0);
  CHECK(sample.label == 7);
  for (std::size_t i = 0; i < 192; ++i) CHECK(sample.pixels[i] == (i / 3 % 17 * 255 + 8) / 16);
}

TEST_CASE("the optical digits hold their class counts") {
  const char* folder = data_folder();
  if (folder == nullptr) return;
  CHECK(class_counts(*read_digits(folder, Split::train)) ==
        std::vector<int>{376, 389, 380, 389, 387, 376, 377, 387, 380, 382});
  CHECK(class_counts(*read_digits(folder, Split::test)) ==
        std::vector<int>{178, 182, 177, 183, 181, 182, 181, 179, 174, 180});
}

TEST_CASE("a wrong line of the digits is named") {
  const TemporaryFolder folder;
  const std::string text = "1,2,3\n";
  write_file(folder / "optdigits.tes", std::as_bytes(std::span(text)));
  CHECK(request_error_of([&] { return read_digits(folder.path(), Split::test); }).find("optdigits.tes:1: holds 3") !=
        std::string::npos);
}

TEST_CASE("class folders become a set; bad files are skipped and listed, or refused") {
  const TemporaryFolder folder;
  for (const char* name : {"train/cat", "train/dog", "test/dog"}) {
    std::filesystem::create_directories(folder / name);
    write_png(folder / name / "a.png", Image(40, 50));
  }
  const std::string text = "no image";
  write_file(folder / "train/cat/b.png", std::as_bytes(std::span(text)));
  const ImageFolder train = read_image_folder(folder.path(), Split::train);
  CHECK(train.images->size() == 2);
  CHECK(train.images->info().class_names == std::vector<std::string>{"cat", "dog"});
  REQUIRE(train.skipped.size() == 1);
  CHECK(train.skipped.front().find("b.png") != std::string::npos);
  CHECK(read_image_folder(folder.path(), Split::test).images->sample(0).label == 1);
  CHECK_FALSE(train.images->info().serves_both_splits);
  CHECK(read_image_folder(folder / "train", Split::test).images->info().serves_both_splits);
  const ImageFolderOptions strict{.bad_images = BadImagePolicy::fail};
  CHECK(request_error_of([&] { return read_image_folder(folder.path(), Split::train, strict); }).find("b.png") !=
        std::string::npos);
  CHECK_FALSE(request_error_of([&] { return read_image_folder(folder / "none", Split::train); }).empty());
}

TEST_CASE("shapes are a function of seed, split and index") {
  std::array<std::vector<std::uint8_t>, 5> images;
  for (auto& image : images) image.resize(kShapesSide * kShapesSide * 3);
  draw_shape(1, Split::train, 4, images[0]);
  draw_shape(1, Split::train, 4, images[1]);
  draw_shape(2, Split::train, 4, images[2]);
  draw_shape(1, Split::test, 4, images[3]);
  draw_shape(1, Split::train, 14, images[4]);
  CHECK(images[0] == images[1]);
  for (std::size_t i = 2; i < images.size(); ++i) CHECK(images[0] != images[i]);
  const auto set = draw_shapes(Split::train, {.seed = 1, .train_images = 20, .test_images = 10});
  CHECK(class_counts(*set) == std::vector<int>(10, 2));
  CHECK(std::ranges::equal(set->sample(4).pixels, images[0]));
}

TEST_CASE("an unknown set is answered with the names there are") {
  const auto message = request_error_of([] { return open_dataset("mnist", ".", Split::train); });
  CHECK(message.find("cifar10, digits, folder, shapes") != std::string::npos);
}

}  // namespace
}  // namespace deq
