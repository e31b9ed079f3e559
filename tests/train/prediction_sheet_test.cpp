#include "train/prediction_sheet.h"

#include <doctest/doctest.h>

namespace deq {

TEST_CASE("an exported file's name gives its class back") {
  const std::vector<std::string> names{"sea", "sea-lion", "cat"};
  CHECK(class_of_file("images/cat-00012.png", names) == 2);
  CHECK(class_of_file("sea-00001.png", names) == 0);
  CHECK(class_of_file("sea-lion-00001.png", names) == 1);
  CHECK(class_of_file("cat/holiday.png", names) == -1);
  CHECK(class_of_file("category.png", names) == -1);
}

TEST_CASE("the line about a sheet counts right answers only where classes are known") {
  CHECK(describe({.shown = 3}, "a.png") == "a.png: 3 images");
  CHECK(describe({.shown = 3, .known = 2, .right = 1}, "a.png") == "a.png: 3 images, 1 of 2 right");
}

}  // namespace deq
