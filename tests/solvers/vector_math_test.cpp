#include "solvers/bilevel/vector_math.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace deq {
namespace {

TEST_CASE("Vectorised exponentials and logarithms are those of the library within rounding") {
  double worst_exp = 0, worst_log = 0;
  for (int i = 0; i <= 200000; ++i) {
    const double x = -708.0 * std::pow(static_cast<double>(i) / 200000.0, 3.0);
    const double exact = std::exp(x);
    worst_exp = std::max(worst_exp, std::abs(exp_nonpositive(x) - exact) / exact);
    const double log = std::log1p(exact);
    worst_log = std::max(worst_log, std::abs(log1p_unit(exact) - log) / log);
  }
  CHECK(worst_exp < 5e-16);
  CHECK(worst_log < 5e-16);
  CHECK(exp_nonpositive(0.0) == 1.0);
  CHECK(exp_nonpositive(-1e9) == 0.0);
  CHECK(exp_nonpositive(-std::numeric_limits<double>::infinity()) == 0.0);
  CHECK(log1p_unit(0.0) == 0.0);
  CHECK(std::isnan(exp_nonpositive(std::nan(""))));
  CHECK(std::isnan(log1p_unit(std::nan(""))));
}

}  // namespace
}  // namespace deq
