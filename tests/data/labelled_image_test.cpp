#include "data/labelled_image.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "data/segmentation_set.h"
#include "data/shape_scenes.h"
#include "tests/data/temporary_folder.h"

namespace deq {
namespace {

using testing::request_error_of;

constexpr int kBlock = 8;

/// Blocks of 8 x 8 pixels, each grey 40, 80, 120, 160 or 200 with label 0 to 4.
LabelledImage blocks(int height, int width) {
  LabelledImage out{.image = Image(height, width), .labels = PixelLabels(height, width, 0)};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int label = (y / kBlock * 3 + x / kBlock) % 5;
      out.labels.at(y, x) = label;
      std::ranges::fill(out.image.at(y, x), static_cast<std::uint8_t>(40 * (label + 1)));
    }
  }
  return out;
}

constexpr std::size_t kRows = 32, kColumns = 48;

/// Of the labelled pixels of 200 examples of blocks, the share whose grey is the label's (within half the distance to
/// the next) when labels are read `shift` places later.
double agreement(const std::array<double, 2>& scale, std::size_t shift) {
  const LabelledImage from = blocks(40, 56);
  std::int64_t labelled = 0, agreeing = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    KeyedRandom random(5, 0, i);
    Example example;
    augment_example(from, static_cast<int>(kRows), static_cast<int>(kColumns), scale, random, example);
    REQUIRE(example.labels.size() == kRows * kColumns);
    REQUIRE(example.memory.size() == 3 * kRows * kColumns);
    for (std::size_t k = 0; k + shift < example.labels.size(); ++k) {
      if (example.labels[k] == kNoLabel) CHECK(example.memory[3 * k] == 0);
      const std::int32_t label = example.labels[k + shift];
      if (label == kNoLabel || example.labels[k] == kNoLabel) continue;
      ++labelled;
      agreeing += std::abs(example.memory[3 * k] - 40 * (label + 1)) <= 20 ? 1 : 0;
    }
  }
  return static_cast<double>(agreeing) / static_cast<double>(labelled);
}

TEST_CASE("augmentation keeps image and labels aligned") {
  CHECK(agreement({1, 1}, 0) == 1);  // cut and mirrored only
  // Interpolation blurs the borders of blocks; a shift by one pixel costs far more.
  const double aligned = agreement({0.5, 2.1}, 0);
  CHECK(aligned > 0.9);
  for (const std::size_t shift : {std::size_t{1}, kColumns}) CHECK(agreement({0.5, 2.1}, shift) < aligned - 0.05);
}

TEST_CASE("augmentation reaches all scales, places and both directions") {
  LabelledImage from{.image = Image(20, 20), .labels = PixelLabels(20, 20, 0)};
  for (int y = 0; y < 20; ++y)
    for (int x = 0; x < 20; ++x) from.labels.at(y, x) = y * 20 + x;
  std::set<std::int32_t> first_labels;
  std::set<int> filled_rows;
  int flips = 0;
  for (std::uint64_t i = 0; i < 400; ++i) {
    KeyedRandom random(1, 2, i);
    Example example;
    augment_example(from, 20, 20, {0.5, 1.5}, random, example);
    first_labels.insert(example.labels[0]);
    int rows = 0;
    while (rows < 20 && (example.labels[static_cast<std::size_t>(rows) * 20] != kNoLabel ||
                         example.labels[static_cast<std::size_t>(rows) * 20 + 19] != kNoLabel))
      ++rows;
    filled_rows.insert(rows);
    flips += example.labels[static_cast<std::size_t>(rows - 1) * 20 + 19] >
                     example.labels[static_cast<std::size_t>(rows - 1) * 20]
                 ? 0
                 : 1;
  }
  CHECK(filled_rows == std::set<int>{10, 12, 14, 16, 18, 20});
  CHECK(first_labels.size() > 20);
  // Six standard deviations of a count of 1/2.
  CHECK(std::abs(flips - 200) < 60);
}

TEST_CASE("an image of the size asked for is shown as it is, others fit inside with nothing around") {
  const LabelledImage from = blocks(16, 24);
  Example example;
  fit_example(from, 16, 24, example);
  CHECK(example.memory == from.image.pixels);
  CHECK(example.labels == from.labels.labels);
  fit_example(from, 16, 12, example);
  CHECK(example.labels[7 * 12] != kNoLabel);
  CHECK(example.labels[8 * 12] == kNoLabel);
  CHECK(example.memory[3 * (8 * 12)] == 0);
}

TEST_CASE("labels become classes by the map, and one that is neither class nor ignored is named with its pixel") {
  PixelLabels map(1, 4, 0);
  map.labels = {7, 255, 0, 8};
  LabelRule rule{.classes = 2, .ignore_label = 255, .map = {-1, -1, -1, -1, -1, -1, -1, 0, 1}};
  apply_label_rule(map, rule, "a.png");
  CHECK(map.labels == std::vector<std::int32_t>{0, kNoLabel, kNoLabel, 1});
  PixelLabels wrong(2, 2, 0);
  wrong.labels = {0, 1, 1, 2};
  rule.map.clear();
  const std::string message = request_error_of([&] { apply_label_rule(wrong, rule, "a.png"); });
  CHECK(message.find("a.png: label 2 at row 1, column 1 is not one of 2 classes") != std::string::npos);
  rule.map = {0, 1};
  wrong.labels = {0, 1, 1, 9};
  CHECK(request_error_of([&] { apply_label_rule(wrong, rule, "a.png"); }).find("not in data.label_map") !=
        std::string::npos);
}

TEST_CASE("scenes are a function of seed, split and index and hold every class") {
  const LabelledImage a = draw_scene(1, Split::train, 4, 48, 64);
  CHECK(a.image.pixels == draw_scene(1, Split::train, 4, 48, 64).image.pixels);
  CHECK(a.labels.labels == draw_scene(1, Split::train, 4, 48, 64).labels.labels);
  CHECK(a.image.pixels != draw_scene(2, Split::train, 4, 48, 64).image.pixels);
  CHECK(a.image.pixels != draw_scene(1, Split::test, 4, 48, 64).image.pixels);
  std::set<std::int32_t> seen;
  for (int i = 0; i < 20; ++i) {
    const LabelledImage scene = draw_scene(1, Split::train, i, 48, 64);
    seen.insert(scene.labels.labels.begin(), scene.labels.labels.end());
  }
  CHECK(seen == std::set<std::int32_t>{0, 1, 2, 3, 4, 5});
}

}  // namespace
}  // namespace deq
