#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/error.h"
#include "solvers/bilevel/elra.h"
#include "solvers/bilevel/hypergradient.h"
#include "solvers/bilevel/lbfgs.h"
#include "solvers/bilevel/vector_ops.h"
#include "tests/solvers/dense_problem.h"

namespace deq::test {
namespace {

/// Steps until x^T A x / 2 is 1e-6 of its start, for eigenvalues from 1 / condition to 1.
int steps_on_quadratic(OuterOptimizer& optimizer, double condition, int size, int seed = 3) {
  Numbers x = normals(size, seed), gradient(size);
  double first = 0.0;
  for (int step = 0; step < 20000; ++step) {
    double value = 0.0;
    for (int i = 0; i < size; ++i) {
      const double eigenvalue = std::pow(condition, -static_cast<double>(i) / std::max(1, size - 1));
      gradient[i] = eigenvalue * x[i];
      value += 0.5 * gradient[i] * x[i];
    }
    if (step == 0) first = value;
    if (value <= 1e-6 * first) return step;
    optimizer.step(value, gradient, x);
  }
  return 20000;
}

TEST_CASE("ELRA solves ill-conditioned quadratics in the steps of its authors, untuned") {
  struct Case {
    double condition;
    int expected;  // related-systems section 6
  };
  for (const Case& each : {Case{10, 18}, Case{100, 48}, Case{1000, 160}, Case{10000, 411}}) {
    std::vector<int> counts;
    for (int seed = 0; seed < 9; ++seed) {
      Elra elra({}, 100);
      counts.push_back(steps_on_quadratic(elra, each.condition, 100, seed));
    }
    std::sort(counts.begin(), counts.end());
    const int steps = counts[4];
    GradientDescent best{.rate = 2.0 / (1.0 + 1.0 / each.condition)};
    const int descent = steps_on_quadratic(*make_outer_optimizer(best, 100), each.condition, 100);
    MESSAGE("condition " << each.condition << ": " << counts.front() << ", " << steps << ", " << counts.back()
                         << " steps, gradient descent " << descent);
    CHECK(steps <= 1.5 * each.expected);
    CHECK(steps < descent);
  }
}

TEST_CASE("The first rate of ELRA hardly matters") {
  int least = 20000, most = 0;
  for (const double rate : {1e-8, 1e-5, 1e-2, 1.0}) {
    Elra elra({.first_rate = rate}, 100);
    const int steps = steps_on_quadratic(elra, 100, 100);
    least = std::min(least, steps);
    most = std::max(most, steps);
  }
  MESSAGE("between " << least << " and " << most << " steps");
  CHECK(most <= 2 * least);
}

TEST_CASE("ELRA does not see a rotation of its space") {
  const Numbers eigenvalues{1.0, 0.3, 0.1, 0.03, 0.01}, start = normals(5, 8);
  // The columns of an orthogonal matrix: the reflection I - 2 v v^T / |v|^2.
  const Numbers v = normals(5, 9);
  const auto reflect = [&v](Numbers x) {
    add_scaled(-2.0 * dot(v, x) / dot(v, v), v, x);
    return x;
  };
  Elra plain({}, 5), rotated({}, 5);
  Numbers x = start, y = reflect(start);
  for (int step = 0; step < 40; ++step) {
    const auto value_at = [&eigenvalues](const Numbers& at, Numbers& gradient) {
      double value = 1.0;
      for (int i = 0; i < 5; ++i) {
        gradient[i] = eigenvalues[i] * at[i];
        value += 0.5 * gradient[i] * at[i];
      }
      return value;
    };
    Numbers gradient(5), mirrored(5);
    const double value = value_at(x, gradient), same = value_at(reflect(y), mirrored);
    CHECK(same == doctest::Approx(value).epsilon(1e-10));
    plain.step(value, gradient, x);
    rotated.step(same, reflect(mirrored), y);
  }
}

TEST_CASE("ELRA descends Rosenbrock's valley") {
  Elra elra({}, 2);
  Numbers x{-1.2, 1.0};
  int step = 0;
  double value = 0.0;
  for (; step < 1000; ++step) {
    const double bend = x[1] - x[0] * x[0], slide = 1.0 - x[0];
    value = slide * slide + 100.0 * bend * bend;
    if (value < 1e-6) break;
    elra.step(value, Numbers{-2.0 * slide - 400.0 * x[0] * bend, 200.0 * bend}, x);
  }
  MESSAGE(step << " steps");
  CHECK(step < 1000);
}

/// Best validation losses of one descent from lambda = 0 with exact hypergradients.
struct BestLoss {
  double after_20 = 0.0, after_60 = 0.0;
};

BestLoss best_loss(const OuterMethod& method, bool is_per_feature, int draw) {
  const int seed = 21 + 10 * draw;
  DenseProblem problem(random_rows(150, 60, 0.02, seed, seed + 2, 1.0),
                       random_rows(250, 60, 0.02, seed + 1, seed + 2, 1.0), Loss::logistic, true, is_per_feature);
  const auto optimizer = make_outer_optimizer(method, problem.outer_size());
  Numbers lambda(problem.outer_size(), 0.0), w(60, 0.0), q(60, 0.0), gradient(lambda.size());
  QuasiNewtonMemory memory(60, 20, InitialInverse::scaled);
  double best = std::numeric_limits<double>::infinity();
  BestLoss result;
  for (int k = 0; k < 60; ++k) {
    minimise_lbfgs(problem, lambda, w, memory, {.tolerance = 1e-4, .max_iterations = 200});
    const HypergradientReport report = estimate_hypergradient(problem, {.w = w, .lambda = lambda},
                                                              ExactAdjoint{.solver = {.tolerance = 1e-6}}, q, gradient);
    best = std::min(best, report.outer_value);
    if (k < 20) result.after_20 = best;
    optimizer->step(report.outer_value, gradient, lambda);
    for (double& value : lambda) value = std::clamp(value, -12.0, 12.0);
  }
  result.after_60 = best;
  return result;
}

/// Means over ten draws of the problem: a single descent at the edge of stability ends where the last bits of its sums
/// lead it.
BestLoss mean_loss(const OuterMethod& method, bool is_per_feature) {
  BestLoss mean;
  for (int draw = 0; draw < 10; ++draw) {
    const BestLoss loss = best_loss(method, is_per_feature, draw);
    mean.after_20 += loss.after_20 / 10.0;
    mean.after_60 += loss.after_60 / 10.0;
  }
  return mean;
}

TEST_CASE("As outer optimiser ELRA matches the best of a grid of rates without being told one") {
  for (const bool is_per_feature : {false, true}) {
    const std::string name = is_per_feature ? "60 penalties: " : "one penalty: ";
    BestLoss grid{.after_20 = std::numeric_limits<double>::infinity(),
                  .after_60 = std::numeric_limits<double>::infinity()};
    for (const double rate : {1.0, 10.0, 100.0, 1000.0}) {
      const BestLoss descent = mean_loss(GradientDescent{.rate = rate}, is_per_feature);
      MESSAGE(name << "rate " << rate << ": " << descent.after_20 << ", " << descent.after_60);
      grid.after_20 = std::min(grid.after_20, descent.after_20);
      grid.after_60 = std::min(grid.after_60, descent.after_60);
    }
    const BestLoss elra = mean_loss(ElraDescent{}, is_per_feature);
    MESSAGE(name << "ELRA: " << elra.after_20 << ", " << elra.after_60);
    CHECK(elra.after_20 <= 1.02 * grid.after_20);
    CHECK(elra.after_60 <= 1.005 * grid.after_60);
  }
}

TEST_CASE("No step of ELRA is longer than its cap, also where F curves down") {
  Elra elra({.first_rate = 1.0, .most_step = 0.5}, 4);
  Numbers x(4, 0.1);
  double longest = 0.0;
  for (int step = 0; step < 20; ++step) {
    const Numbers before = x;
    double value = 0.0;
    Numbers gradient(4);
    for (int i = 0; i < 4; ++i) {
      value += 1.0 + std::cos(x[i]);  // concave at the start, bounded
      gradient[i] = -std::sin(x[i]);
    }
    elra.step(value, gradient, x);
    double squared = 0.0;
    for (int i = 0; i < 4; ++i) squared += (x[i] - before[i]) * (x[i] - before[i]);
    longest = std::max(longest, std::sqrt(squared / 4.0));
  }
  CHECK(longest == doctest::Approx(0.5));
}

TEST_CASE("ELRA survives zero gradients, infinite values and rejected steps") {
  Elra elra({.first_rate = 1.0}, 2);
  Numbers x{1.0, 1.0};
  elra.step(1.0, Numbers{0.5, 0.5}, x);
  CHECK(x == Numbers{0.5, 0.5});
  elra.step(std::numeric_limits<double>::infinity(), Numbers{1.0, 1.0}, x);
  CHECK(elra.rejected() == 1);
  CHECK(x[0] > 0.5);
  CHECK(x[0] < 1.0);
  const double rate = elra.rate();
  elra.step(1e9, Numbers{1.0, 1.0}, x);
  CHECK(elra.rejected() == 2);
  CHECK(elra.rate() < rate);
  elra.step(0.5, Numbers{0.0, 0.0}, x);
  elra.step(0.5, Numbers{0.0, 0.0}, x);
  CHECK(std::isfinite(x[0]));
  CHECK_THROWS_AS(Elra({.first_rate = 0.0}, 2), Error);
  CHECK_THROWS_AS(Elra({.most_step = 0.0}, 2), Error);
}

TEST_CASE("Adam and gradient descent take the steps of their formulas") {
  const auto adam = make_outer_optimizer(AdamDescent{.rate = 0.1}, 2);
  Numbers x{1.0, -1.0};
  adam->step(0.0, Numbers{3.0, -0.2}, x);
  // The first step of Adam is the sign of the gradient times the rate.
  CHECK(x[0] == doctest::Approx(0.9).epsilon(1e-7));
  CHECK(x[1] == doctest::Approx(-0.9).epsilon(1e-7));
  adam->step(0.0, Numbers{-1.0, 0.0}, x);
  const double mean = (0.9 * 0.3 - 0.1) / (1.0 - 0.81), square = (0.999 * 0.009 + 0.001) / (1.0 - 0.998001);
  CHECK(x[0] == doctest::Approx(0.9 - 0.1 * mean / std::sqrt(square)).epsilon(1e-7));
  const auto descent = make_outer_optimizer(GradientDescent{.rate = 0.5}, 1);
  Numbers y{2.0};
  descent->step(0.0, Numbers{3.0}, y);
  CHECK(y[0] == 0.5);
  CHECK_THROWS_AS(make_outer_optimizer(GradientDescent{}, 0), Error);
}

}  // namespace
}  // namespace deq::test
