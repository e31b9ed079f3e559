#include "train/schedule.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/error.h"

namespace deq {

namespace {
/// Rates are of the order 1e-3; a few roundings of a double.
constexpr double kRounding = 1e-17;
bool is_near(double a, double b) { return std::abs(a - b) <= kRounding; }
}  // namespace

TEST_CASE("the cosine schedule starts at lr, is half way in the middle and ends at min_lr") {
  const Schedule schedule({.name = "cosine", .warmup_steps = 0, .min_lr = 1e-6}, 1e-3, 1000);
  CHECK(schedule.lr(0) == 1e-3);
  CHECK(is_near(schedule.lr(500), (1e-3 + 1e-6) / 2));
  CHECK(is_near(schedule.lr(1000), 1e-6));
  CHECK(is_near(schedule.lr(5000), 1e-6));
}

TEST_CASE("the cosine schedule has the closed form of the reference") {
  const Schedule schedule({.name = "cosine", .warmup_steps = 0, .min_lr = 1e-6}, 1e-3, 19550);
  // 1e-6 + (1e-3 - 1e-6) (1 + cos(pi/4)) / 2 at a quarter; 4887.5 is between two steps, so the mean of both is taken:
  // the second difference of the cosine is 1e-3 (pi/T)^2 / 2 = 1.3e-11.
  const double quarter = 1e-6 + (1e-3 - 1e-6) * (1 + 0.70710678118654752440) / 2;
  CHECK(std::abs((schedule.lr(4887) + schedule.lr(4888)) / 2 - quarter) < 1e-11);
}

TEST_CASE("warm-up rises linearly and reaches the full rate with its last step") {
  const Schedule schedule({.name = "constant", .warmup_steps = 4, .min_lr = 0}, 0.4, 10);
  CHECK(schedule.lr(0) == doctest::Approx(0.1));
  CHECK(schedule.lr(1) == doctest::Approx(0.2));
  CHECK(schedule.lr(3) == doctest::Approx(0.4));
  CHECK(schedule.lr(9) == 0.4);
}

TEST_CASE("schedules that cannot be are refused") {
  CHECK_THROWS_AS(Schedule({.name = "cosine", .warmup_steps = 11, .min_lr = 0}, 0.1, 10), RequestError);
  CHECK_THROWS_AS(Schedule({.name = "cosine", .warmup_steps = 0, .min_lr = 0}, 0.1, 0), RequestError);
  CHECK_THROWS_AS(Schedule({.name = "linear", .warmup_steps = 0, .min_lr = 0}, 0.1, 10), RequestError);
}

}  // namespace deq
