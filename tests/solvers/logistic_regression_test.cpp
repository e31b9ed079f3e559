#include "solvers/bilevel/logistic_regression.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "solvers/bilevel/nonlinear_least_squares.h"
#include "tests/solvers/problem_checks.h"

namespace deq {
namespace {

using testing::check_products;
using testing::ProductErrors;
using testing::random_normals;
using testing::random_samples;

/// Central differences with step 1e-5 of values of size 1 to 100: truncation 1e-10, rounding 1e-16 / 1e-5 of the value.
constexpr double kStep = 1e-5;
constexpr double kDifference = 1e-7;

BilevelSamples some_samples(std::int64_t columns = 12) {
  return {.train = random_samples(40, columns, 0, 1),
          .validation = random_samples(15, columns, 0, 2),
          .test = random_samples(9, columns, 0, 3)};
}

void check_all(const ProductErrors& errors) {
  CHECK(errors.gradient < kDifference);
  CHECK(errors.hessian < kDifference);
  CHECK(errors.cross < kDifference);
  CHECK(errors.outer_w < kDifference);
  CHECK(errors.outer_lambda < kDifference);
  CHECK(errors.asymmetry < 1e-12);
}

TEST_CASE("products of logistic regression and least squares agree with central differences") {
  for (const PenaltyGroups groups : {PenaltyGroups::shared, PenaltyGroups::per_weight}) {
    LogisticRegression logistic(some_samples(), groups);
    NonlinearLeastSquares squares(some_samples(), groups);
    for (BilevelProblem* problem : {static_cast<BilevelProblem*>(&logistic), static_cast<BilevelProblem*>(&squares)}) {
      CHECK(problem->inner_size() == 12);
      CHECK(problem->outer_size() == (groups == PenaltyGroups::shared ? 1 : 12));
      for (const double size : {0.1, 1.0, 5.0}) {
        auto w = random_normals(12, 7);
        for (double& weight : w) weight *= size;
        check_all(check_products(*problem, w, random_normals(problem->outer_size(), 8), kStep, 20));
      }
    }
  }
}

TEST_CASE("logistic regression is the sum of its terms, written out") {
  const BilevelSamples samples = some_samples(3);
  LogisticRegression problem(samples);
  const std::vector<double> w = {0.3, -1.2, 2.0};
  const std::vector<double> lambda = {0.7};
  const auto loss = [&](const Samples& part) {
    const auto x = part.features.to_dense();
    double sum = 0;
    for (std::size_t i = 0; i < part.labels.size(); ++i)
      sum += std::log(1 + std::exp(-part.labels[i] * (x[3 * i] * w[0] + x[3 * i + 1] * w[1] + x[3 * i + 2] * w[2])));
    return sum;
  };
  std::vector<double> gradient(3);
  std::vector<double> gradient_lambda(1, 7.0);
  const double penalty = 0.5 * std::exp(0.7) * (0.09 + 1.44 + 4);
  CHECK(problem.inner(w, lambda, gradient) == doctest::Approx(loss(samples.train) + penalty).epsilon(1e-14));
  CHECK(problem.outer(w, lambda, gradient, gradient_lambda) ==
        doctest::Approx(loss(samples.validation)).epsilon(1e-14));
  CHECK(problem.test(w) == doctest::Approx(loss(samples.test)).epsilon(1e-14));
  CHECK(gradient_lambda[0] == 0);
}

TEST_CASE("margins of any size give exact finite terms") {
  const std::vector<double> margins = {1000, -1000, 40, -40, 0, 1e-9};
  std::vector<MarginTerm> terms(margins.size());
  LogisticLoss().evaluate(margins, std::vector<double>(margins.size(), 1.0), terms);
  CHECK(terms[0].value == 0);
  CHECK(terms[1].value == 1000);
  CHECK(terms[1].slope == -1);
  CHECK(terms[2].value == doctest::Approx(std::exp(-40.0)).epsilon(1e-15));
  CHECK(terms[2].slope == doctest::Approx(-std::exp(-40.0)).epsilon(1e-15));
  CHECK(terms[3].value == doctest::Approx(40.0).epsilon(1e-15));
  CHECK(terms[3].curvature == doctest::Approx(std::exp(-40.0)).epsilon(1e-15));
  CHECK(terms[4].value == std::log(2.0));
  CHECK(terms[4].curvature == 0.25);
  SigmoidSquaredLoss().evaluate(margins, std::vector<double>(margins.size(), -1.0), terms);
  CHECK(terms[0].value == 2);
  CHECK(terms[1].value == 0.5);
  CHECK(terms[0].slope == 0);
}

TEST_CASE("the curvature of nonlinear least squares is the published formula and changes sign") {
  const std::vector<double> margins = {-2, -0.5, 0, 0.7, 3};
  bool is_negative_seen = false;
  for (const double y : {-1.0, 1.0}) {
    std::vector<MarginTerm> terms(margins.size());
    SigmoidSquaredLoss().evaluate(margins, std::vector<double>(margins.size(), y), terms);
    for (std::size_t i = 0; i < margins.size(); ++i) {
      const double s = 1 / (1 + std::exp(-margins[i]));
      CHECK(terms[i].curvature == doctest::Approx(-s * (1 - s) * (y - 2 * s * y - 2 * s + 3 * s * s)).epsilon(1e-13));
      is_negative_seen |= terms[i].curvature < 0;
    }
  }
  CHECK(is_negative_seen);
}

TEST_CASE("values and products of large problems have the same bits on any number of threads") {
  const BilevelSamples samples{
      .train = random_samples(3000, 40, 0, 1), .validation = random_samples(2500, 40, 0, 2), .test = {}};
  const auto run = [&](int threads) {
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    LogisticRegression problem(samples, PenaltyGroups::per_weight);
    std::vector<double> out(160);
    const auto w = random_normals(40, 5);
    const auto lambda = random_normals(40, 6);
    out.push_back(problem.inner(w, lambda, Vector(out).first(40)));
    problem.hessian_product(w, lambda, random_normals(40, 7), Vector(out).subspan(40, 40));
    out.push_back(problem.outer(w, lambda, Vector(out).subspan(80, 40), Vector(out).subspan(120, 40)));
    omp_set_num_threads(before);
    return out;
  };
  const auto one = run(1);
  CHECK(run(2) == one);
  CHECK(run(5) == one);
}

TEST_CASE("products at the same weights reuse the margins and a changed weight is noticed") {
  MarginSums sums(random_samples(40, 6, 0, 1), "samples");
  const LogisticLoss loss;
  std::vector<double> w = random_normals(6, 2);
  const auto v = random_normals(6, 3);
  std::vector<double> out(6);
  const double value = sums.gradient(loss, w, 0.0, out);
  sums.hessian_product(loss, w, v, 0.0, out);
  sums.hessian_product(loss, std::vector<double>(w), v, 0.0, out);  // the same bits elsewhere
  CHECK(sums.margin_evaluations() == 1);
  w[5] = std::nextafter(w[5], 10.0);  // the same place, other bits
  sums.gradient(loss, w, 0.0, out);
  CHECK(sums.margin_evaluations() == 2);
  w = random_normals(6, 9);
  CHECK(sums.value(loss, w) != value);
  CHECK(sums.margin_evaluations() == 3);
}

TEST_CASE("the known diagonal is what remains of the Hessian without data") {
  LogisticRegression problem(some_samples(), PenaltyGroups::per_weight);
  const auto lambda = random_normals(12, 8);
  std::vector<double> diagonal(12);
  CHECK(problem.known_diagonal(lambda, diagonal));
  for (std::size_t j = 0; j < 12; ++j) CHECK(diagonal[j] == std::exp(lambda[j]));
}

TEST_CASE("a penalty beyond double precision makes the value infinite, never nan") {
  LogisticRegression problem(some_samples());
  const std::vector<double> lambda = {800};
  std::vector<double> w(12);  // zero: 0 times infinity must not reach the caller
  std::vector<double> out(12);
  CHECK(problem.inner(w, lambda, out) == std::numeric_limits<double>::infinity());
  CHECK(out[3] == std::numeric_limits<double>::infinity());
  problem.hessian_product(w, lambda, w, out);
  CHECK(std::isinf(out[0]));
}

TEST_CASE("samples that make no problem are refused with their reason") {
  BilevelSamples samples = some_samples();
  const auto refused = [](const BilevelSamples& from, const char* why) {
    CHECK_THROWS_WITH_AS(LogisticRegression{from}, doctest::Contains(why), Error);
  };
  BilevelSamples other = samples;
  other.validation = {};
  refused(other, "validation samples: no samples; an empty split?");
  other = samples;
  other.train.labels[7] = 2;
  refused(other, "training samples: label 2 of sample 7");
  other = samples;
  other.test.labels.pop_back();
  refused(other, "test samples: 8 labels for 9 samples");
  other = samples;
  other.validation = random_samples(5, 11, 0, 1);
  refused(other, "validation samples 11");
  other = samples;
  other.train = {SparseMatrix(12, {0, 1}, {3}, {std::nan("")}), {1}};
  refused(other, "training samples: the features hold values that are not finite");
  other = samples;
  other.test = {};
  CHECK(std::isnan(LogisticRegression(other).test(std::vector<double>(12))));
}

}  // namespace
}  // namespace deq
