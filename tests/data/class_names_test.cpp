#include "data/class_names.h"

#include <doctest/doctest.h>

#include "data/dataset.h"

namespace deq {

TEST_CASE("a set's fixed class names are those that its images have") {
  for (const char* name : {"shapes", "shapes-seg"})
    CHECK(fixed_class_names(name) == open_dataset(name, "", Split::test)->info().class_names);
  CHECK(fixed_class_names("cifar10").at(3) == "cat");
  CHECK(fixed_class_names("digits").at(7) == "7");
  CHECK(fixed_class_names("cityscapes").size() == 19);
  CHECK(fixed_class_names("folder").empty());
  CHECK(fixed_class_names("imagenet").empty());
}

}  // namespace deq
