#include "core/counted.h"

#include <doctest/doctest.h>

namespace deq {

TEST_CASE("a number has its noun in the singular or in the plural") {
  CHECK(counted(1, "step") == "1 step");
  CHECK(counted(0, "step") == "0 steps");
  CHECK(counted(2, "class") == "2 classes");
  CHECK(counted(1, "class") == "1 class");
  CHECK(counted(3, "batch") == "3 batches");
  CHECK(counted(3, "branch") == "3 branches");
  CHECK(counted(2, "entry") == "2 entries");
  CHECK(counted(2, "day") == "2 days");
  CHECK(counted(17.5, "step") == "17.5 steps");
  CHECK(counted(1.0, "step") == "1 step");
}

}  // namespace deq
