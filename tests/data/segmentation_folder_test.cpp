#include "data/segmentation_folder.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "data/cityscapes.h"
#include "data/file.h"
#include "data/loader.h"
#include "tests/data/temporary_folder.h"

namespace deq {
namespace {

namespace fs = std::filesystem;
using testing::request_error_of;
using testing::TemporaryFolder;

void write_pair(const fs::path& image, const fs::path& labels, int height, int width, std::int32_t label) {
  for (const fs::path& file : {image, labels}) fs::create_directories(file.parent_path());
  Image picture(height, width);
  std::ranges::fill(picture.pixels, static_cast<std::uint8_t>(10 * label));
  write_png(image, picture);
  write_pixel_labels(labels, PixelLabels(height, width, label));
}

void write_lines(const fs::path& file, const std::string& text) { write_file(file, std::as_bytes(std::span(text))); }

const DatasetOptions kSmall{.height = 8, .width = 8, .classes = 3};

/// The message with which the training split of a folder is refused, or its first example.
std::string refusal(const fs::path& folder, const DatasetOptions& options = kSmall) {
  return request_error_of([&] { return open_segmentation_folder(folder, Split::train, options)->sample(0); });
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_CASE("pairs come from a list, from folders of a split, or from folders that serve both") {
  const TemporaryFolder both, split, list;
  for (const char* name : {"b", "a"})
    write_pair(both / "images" / (name + std::string(".png")), both / "labels" / (name + std::string(".png")), 8, 8, 1);
  CHECK(find_label_pairs(both.path(), Split::test).size() == 2);
  CHECK(find_label_pairs(both.path(), Split::train)[0].image.filename() == "a.png");
  CHECK(open_segmentation_folder(both.path(), Split::test, kSmall)->info().serves_both_splits);
  write_pair(split / "train/images/x.png", split / "train/labels/x.png", 8, 8, 1);
  write_pair(split / "val/images/y.png", split / "val/labels/y.png", 8, 8, 1);
  CHECK(find_label_pairs(split.path(), Split::test)[0].labels.filename() == "y.png");
  write_pair(list / "i/x.png", list / "l/y.png", 8, 8, 2);
  write_lines(list / "train.txt", "# image labels\n\ni/x.png l/y.png\r\n");
  const auto set = open_segmentation_folder(list.path(), Split::train, kSmall);
  CHECK(set->size() == 1);
  CHECK_FALSE(set->info().serves_both_splits);
  CHECK(set->sample(0).pixel_labels[63] == 2);
  CHECK(set->sample(0).pixels[0] == 20);
  CHECK(set->info().class_names[2] == "class 2");
  write_lines(list / "classes.txt", "sky\nroad\ncar\n");
  CHECK(open_segmentation_folder(list.path(), Split::train, kSmall)->info().class_names[2] == "car");
}

TEST_CASE("a folder that is wrong is refused with what is missing and where") {
  const TemporaryFolder folder;
  CHECK(has(refusal(folder / "none"), "no such folder"));
  CHECK(has(refusal(folder.path()), "holds none of train.txt"));
  fs::create_directories(folder / "images");
  CHECK(has(refusal(folder.path()), "labels: no such folder"));
  fs::create_directories(folder / "labels");
  CHECK(has(refusal(folder.path()), "holds no image"));
  write_png(folder / "images" / "a.png", Image(8, 8));
  CHECK(has(refusal(folder.path()), "a.png: has no labels: expected"));
  write_pixel_labels(folder / "labels" / "a.png", PixelLabels(8, 8, 0));
  write_pixel_labels(folder / "labels" / "b.png", PixelLabels(8, 8, 0));
  CHECK(has(refusal(folder.path()), "b.png: has no image of its name"));
  write_lines(folder / "train.txt", "# nothing\n");
  CHECK(has(refusal(folder.path()), "train.txt: lists no pair"));
  write_lines(folder / "train.txt", "\nimages/a.png\n");
  CHECK(has(refusal(folder.path()), "train.txt:2: expected \"IMAGE LABELS\""));
  write_lines(folder / "train.txt", "images/a.png labels/c.png\n");
  CHECK(has(refusal(folder.path()), "train.txt:1: no such file"));
  write_lines(folder / "train.txt", "images/a.png labels/a.png\n");
  write_lines(folder / "classes.txt", "one\ntwo\n");
  CHECK(has(refusal(folder.path()), "names 2 classes but model.classes is 3"));
}

TEST_CASE("labels of another size than the image and labels that are no class are refused under either policy") {
  for (const BadImagePolicy policy : {BadImagePolicy::skip, BadImagePolicy::fail}) {
    DatasetOptions options = kSmall;
    options.bad_images = policy;
    const TemporaryFolder folder;
    write_pair(folder / "images/a.png", folder / "labels/a.png", 8, 8, 3);
    CHECK(has(refusal(folder.path(), options), "label 3 at row 0, column 0 is not one of 3 classes"));
    write_pixel_labels(folder / "labels" / "a.png", PixelLabels(8, 9, 0));
    CHECK(has(refusal(folder.path(), options), "a.png has 8 x 8 pixels"));
  }
}

TEST_CASE("damaged files are skipped and counted, or refused") {
  const TemporaryFolder folder;
  for (const char* name : {"a.png", "b.png", "c.png"})
    write_pair(folder / "images" / name, folder / "labels" / name, 8, 8, 1);
  const auto bytes = read_file(folder / "labels/b.png");
  write_file(folder / "labels/b.png", std::span(bytes).first(bytes.size() / 2));
  const auto set = open_segmentation_folder(folder.path(), Split::train, kSmall);
  CHECK(set->sample(1).pixel_labels[0] == kNoLabel);
  CHECK(set->bad_file_count() == 1);
  CHECK(has(set->bad_files()[0], "b.png: damaged image"));
  Example example;
  set->load({.index = 1, .is_training = true}, example);
  CHECK(example.is_bad);
  CHECK(example.labels[0] == 1);
  DatasetOptions strict = kSmall;
  strict.bad_images = BadImagePolicy::fail;
  const auto refused = open_segmentation_folder(folder.path(), Split::train, strict);
  CHECK(has(request_error_of([&] { return refused->sample(1); }), "b.png: damaged image"));
}

TEST_CASE("Cityscapes is read from its folders with 19 classes") {
  CHECK(std::ranges::count(cityscapes_label_map(), kNoLabel) == 34 - 19);
  const TemporaryFolder folder;
  const fs::path root = folder / "cityscapes";
  write_pair(root / "leftImg8bit/train/aachen/a_0_leftImg8bit.png",
             root / "gtFine/train/aachen/a_0_gtFine_labelIds.png", 16, 32, 26);
  write_pair(root / "leftImg8bit/val/ulm/b_leftImg8bit.png", root / "gtFine/val/ulm/b_gtFine_labelIds.png", 16, 32, 3);
  const DatasetOptions options{.height = 16, .width = 32};
  const auto train = open_cityscapes(folder.path(), Split::train, options);
  CHECK(train->info().class_names.size() == 19);
  CHECK(train->info().class_names[static_cast<std::size_t>(train->sample(0).pixel_labels[5])] == "car");
  CHECK(open_cityscapes(root, Split::test, options)->sample(0).pixel_labels[5] == kNoLabel);
  fs::remove(root / "gtFine/val/ulm/b_gtFine_labelIds.png");
  CHECK(has(request_error_of([&] { return open_cityscapes(root, Split::test, options); }), "has no labels: expected"));
  CHECK(has(request_error_of([&] { return open_cityscapes(folder / "x", Split::test, options); }), "leftImg8bit"));
}

TEST_CASE("batches of pixels hold one label a pixel and do not depend on the number of threads") {
  const TemporaryFolder folder;
  for (int i = 0; i < 7; ++i) {
    const std::string name = concat("p", i, ".png");
    write_pair(folder / "images" / name, folder / "labels" / name, 8 + i, 12, i % 3);
  }
  const auto bytes = read_file(folder / "images/p3.png");
  write_file(folder / "images/p3.png", std::span(bytes).first(40));
  const auto set = open_segmentation_folder(folder.path(), Split::train, kSmall);
  LoaderOptions options{.batch_size = 3, .augments = true, .seed = 9, .threads = 1};
  Loader one(set, options), resumed(set, options, 4);
  options.threads = 3;
  Loader three(open_segmentation_folder(folder.path(), Split::train, kSmall), options);
  for (int step = 0; step < 10; ++step) {
    const Batch& a = one.next();
    const Batch& b = three.next();
    REQUIRE(a.labels.shape() == Shape{3, 8, 8});
    CHECK(std::ranges::equal(a.labels.data<std::int32_t>(), b.labels.data<std::int32_t>()));
    CHECK(std::ranges::equal(a.images.data<float>(), b.images.data<float>()));
    CHECK(a.is_bad == b.is_bad);
    if (step < 4) continue;
    CHECK(std::ranges::equal(a.images.data<float>(), resumed.next().images.data<float>()));
  }
}

}  // namespace
}  // namespace deq
