#include "data/imagenet.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "data/file.h"
#include "data/loader.h"
#include "data/random_crop.h"
#include "tests/data/jpeg_file.h"
#include "tests/data/temporary_folder.h"

namespace deq {
namespace {

namespace fs = std::filesystem;
using testing::request_error_of;
using testing::TemporaryFolder;
using testing::write_jpeg;

Image shaded(int height, int width, int start = 0) {
  Image image(height, width);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        image.at(y, x)[static_cast<std::size_t>(c)] = static_cast<std::uint8_t>(start + 2 * y + x + 20 * c);
  return image;
}

void cut(const fs::path& file, std::size_t bytes_left) {
  const auto bytes = read_file(file);
  REQUIRE(bytes_left < bytes.size());
  write_file(file, std::span(bytes).first(bytes_left));
}

/// Two classes of JPEG and PNG files of several sizes; in training the file cat/c.jpg is cut off and dog/x.jpg is text.
struct SmallNet {
  SmallNet() {
    for (const char* name : {"train/cat", "train/dog", "val/cat", "val/dog"}) fs::create_directories(folder / name);
    write_jpeg(folder / "train/cat/a.jpg", shaded(40, 30));
    write_jpeg(folder / "train/cat/b.jpg", shaded(20, 64, 40), 1);
    write_jpeg(folder / "train/cat/c.jpg", shaded(50, 50, 90));
    write_png(folder / "train/dog/d.png", shaded(33, 17, 10));
    write_jpeg(folder / "train/dog/e.jpg", shaded(16, 16, 60));
    write_jpeg(folder / "val/dog/f.jpg", shaded(30, 40));
    const std::string text = "no image";
    write_file(folder / "train/dog/x.jpg", std::as_bytes(std::span(text)));
    write_file(folder / "val/cat/x.jpg", std::as_bytes(std::span(text)));
    cut(folder / "train/cat/c.jpg", 400);
  }
  [[nodiscard]] std::shared_ptr<const Dataset> open(Split split, BadImagePolicy policy = BadImagePolicy::skip) const {
    return open_imagenet(folder.path(), split, {.height = 16, .width = 16, .bad_images = policy});
  }
  TemporaryFolder folder;
};

std::vector<float> contents(const Batch& batch) {
  std::vector<float> out(batch.images.data<float>().begin(), batch.images.data<float>().end());
  for (const std::int32_t label : batch.labels.data<std::int32_t>()) out.push_back(static_cast<float>(label));
  for (const std::uint8_t flag : batch.is_bad) out.push_back(static_cast<float>(flag));
  return out;
}

TEST_CASE("a JPEG cut at any byte is refused by name, a whole one reads, grey as RGB") {
  const TemporaryFolder folder;
  write_jpeg(folder / "a.jpg", shaded(12, 10), 1);
  const Image grey = read_image(folder / "a.jpg");
  CHECK(grey.height == 12);
  CHECK(grey.at(3, 4)[0] == grey.at(3, 4)[2]);
  // JPEG at quality 95 is off by a few levels.
  CHECK(std::abs(grey.at(3, 4)[0] - 10) <= 6);
  const auto bytes = read_file(folder / "a.jpg");
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    INFO(length);
    write_file(folder / "cut.jpg", std::span(bytes).first(length));
    CHECK_THROWS_AS(read_image(folder / "cut.jpg"), BadImage);
  }
}

TEST_CASE("class folders of any size are decoded on demand, in evaluation without the bad ones") {
  const SmallNet net;
  const auto test = net.open(Split::test);
  CHECK(test->size() == 2);
  CHECK(test->info().class_names == std::vector<std::string>{"cat", "dog"});
  CHECK(test->bad_file_count() == 0);
  CHECK(test->sample(1).label == 1);
  CHECK(test->sample(0).label == kNoLabel);
  CHECK(test->bad_file_count() == 1);
  CHECK(test->bad_files()[0].find("val/cat/x.jpg") != std::string::npos);
  Loader loader(test, {.batch_size = 2, .is_training = false});
  const Batch& batch = loader.next();
  CHECK(batch.count_bad(2) == 1);
  CHECK(batch.labels.data<std::int32_t>()[0] == -1);
}

TEST_CASE("a bad file is replaced by the next good one in training, or refused") {
  const SmallNet net;
  const auto train = net.open(Split::train);
  REQUIRE(train->size() == 6);
  Example example;
  train->load({.index = 2, .is_training = true}, example);
  CHECK(example.is_bad);
  CHECK(example.labels[0] == 1);  // dog/d.png
  train->load({.index = 5, .is_training = true}, example);
  CHECK(example.labels[0] == 0);  // cat/a.jpg: the search goes round
  CHECK(train->bad_file_count() == 2);
  const auto strict = net.open(Split::train, BadImagePolicy::fail);
  CHECK(request_error_of([&] { return strict->sample(2); }).find("c.jpg: damaged image: truncated at byte 400") !=
        std::string::npos);
}

TEST_CASE("a set without a single good file is refused, naming the first") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "train/cat");
  const std::string text = "no image";
  for (const char* name : {"train/cat/a.jpg", "train/cat/b.jpg"})
    write_file(folder / name, std::as_bytes(std::span(text)));
  const auto set = open_imagenet(folder.path(), Split::train, {.height = 8, .width = 8});
  Example example;
  CHECK(request_error_of([&] { set->load({.index = 1, .is_training = true}, example); }).find("none of 2 files") !=
        std::string::npos);
  fs::remove(folder / "train/cat/a.jpg");
  fs::remove(folder / "train/cat/b.jpg");
  CHECK(request_error_of([&] { return open_imagenet(folder.path(), Split::train, {}); }).find("hold no file") !=
        std::string::npos);
}

TEST_CASE("batches decoded by several threads or from a later step on are the same") {
  const SmallNet net;
  LoaderOptions options{.batch_size = 2, .augments = true, .seed = 3, .threads = 1};
  Loader one(net.open(Split::train), options), resumed(net.open(Split::train), options, 7);
  options.threads = 3;
  options.prefetch = 5;
  Loader three(net.open(Split::train), options);
  for (int step = 0; step < 15; ++step) {
    const std::vector<float> expected = contents(one.next());
    CHECK(contents(three.next()) == expected);
    if (step >= 7) CHECK(contents(resumed.next()) == expected);
  }
}

TEST_CASE("random resized crops cover the share of the area that was asked for") {
  const Image image = shaded(60, 80);
  for (std::uint64_t i = 0; i < 50; ++i) {
    KeyedRandom all(1, 2, i);
    const Image whole = random_resized_crop(image, 30, 40, {1, 1}, all);
    KeyedRandom part(1, 2, i);
    const Image small = random_resized_crop(image, 30, 40, {0.08, 0.1}, part);
    // Along a row of the whole, grey rises by 80 levels; along one of a tenth of the area by 80 * sqrt(0.1 * 4/3) or
    // so.
    CHECK(std::abs(whole.at(5, 39)[0] - whole.at(5, 0)[0]) > 70);
    CHECK(std::abs(small.at(5, 39)[0] - small.at(5, 0)[0]) < 40);
  }
}

TEST_CASE("a part of a scaled image is the same as the scaled image's part") {
  const Image image = shaded(31, 45);
  for (const int size : {12, 50}) {
    const Image whole = resized(image, size, size + 3);
    const Image part = resized_window(
        image, {.full_height = size, .full_width = size + 3, .top = 2, .left = 5, .height = 7, .width = 6});
    CHECK(part.pixels == cropped(whole, 2, 5, 7, 6).pixels);
  }
}

TEST_CASE("the centre view scales the short side to 256/224 of the crop") {
  Image image(64, 128);
  image.at(32, 64)[0] = 255;
  const Image view = centre_view(image, 56, 56);  // scale 1: rows 4 to 59, columns 36 to 91
  CHECK(view.at(28, 28)[0] == 255);
}

}  // namespace
}  // namespace deq
