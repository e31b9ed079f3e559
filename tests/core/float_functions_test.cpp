#include "core/cpu/float_functions.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

using namespace deq::cpu;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr double kSmallest = std::numeric_limits<float>::min();

/// Largest |found(x) - wanted(x)| / (|wanted(x)| + floor) over [low, high].
template <class Found, class Wanted>
double worst_error(double low, double high, double floor, const Found& found, const Wanted& wanted) {
  double worst = 0;
  constexpr int kPoints = 200'000;
  for (int i = 0; i <= kPoints; ++i) {
    const auto x = static_cast<float>(low + (high - low) * i / kPoints);
    const double right = wanted(static_cast<double>(x));
    worst = std::max(worst, std::abs(static_cast<double>(found(x)) - right) / (std::abs(right) + floor));
  }
  return worst;
}

}  // namespace

TEST_CASE("the exponential is within two units of the last place, down to the smallest floats") {
  const auto found = [](float x) { return exponential(x); };
  const auto wanted = [](double x) { return std::exp(x); };
  CHECK(worst_error(-87.3, 88.7, 0, found, wanted) < 2 * 6e-8 + 1e-9);
  CHECK(worst_error(-103, -87.3, kSmallest, found, wanted) < 2e-7);  // where floats lose their digits
  CHECK(exponential(0.0F) == 1.0F);
}

TEST_CASE("the exponential ends in 0 and inf and keeps nan") {
  CHECK(exponential(-104.5F) == 0.0F);
  CHECK(exponential(-kInfinity) == 0.0F);
  CHECK(exponential(-1e30F) == 0.0F);
  CHECK(exponential(88.8F) == kInfinity);
  CHECK(exponential(1e30F) == kInfinity);
  CHECK(exponential(kInfinity) == kInfinity);
  CHECK(std::isnan(exponential(kNan)));
}

TEST_CASE("the logistic function keeps its digits where it is small") {
  const auto found = [](float x) { return logistic(x); };
  const auto wanted = [](double x) { return 1 / (1 + std::exp(-x)); };
  CHECK(worst_error(-87, 87, 0, found, wanted) < 3e-7);
  CHECK(logistic(-kInfinity) == 0.0F);
  CHECK(logistic(kInfinity) == 1.0F);
  CHECK(std::isnan(logistic(kNan)));
}

TEST_CASE("the normal distribution keeps its digits in both tails") {
  const auto below = [](float x) { return normal_point(x).below; };
  const auto density = [](float x) { return normal_point(x).density; };
  const auto wanted_below = [](double x) { return 0.5 * std::erfc(-x * std::sqrt(0.5)); };
  const auto wanted_density = [](double x) { return std::exp(-0.5 * x * x) / std::sqrt(2 * M_PI); };
  // x^2 / 2 is rounded before it is an exponent: x^2 / 2 units of the last place are lost.
  CHECK(worst_error(-3, 14, 0, below, wanted_below) < 1e-6);
  CHECK(worst_error(-13, -3, 0, below, wanted_below) < 1e-5);
  CHECK(worst_error(-3, 3, 0, density, wanted_density) < 1e-6);
  CHECK(below(-kInfinity) == 0.0F);
  CHECK(below(kInfinity) == 1.0F);
  CHECK(std::isnan(below(kNan)));
  CHECK(density(kInfinity) == 0.0F);
}
