#include "core/worse.h"

#include <doctest/doctest.h>

#include <limits>

using namespace deq;

TEST_CASE("a residual that is no number is worse than any that is one") {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  CHECK(worse(1.0, 2.0) == 2.0);
  CHECK(worse(2.0, 1.0) == 2.0);
  CHECK(std::isnan(worse(kNone, 1.0)));
  CHECK(std::isnan(worse(1.0, kNone)));
}
