#include <doctest/doctest.h>
#include <omp.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "solvers/bilevel/data_cleaning.h"
#include "solvers/bilevel/logistic_regression.h"
#include "solvers/bilevel/multinomial_logistic_regression.h"
#include "tests/solvers/problem_checks.h"

namespace deq {
namespace {

using testing::check_products;
using testing::ProductErrors;
using testing::random_normals;
using testing::random_samples;

constexpr int kClasses = 3;
constexpr std::int64_t kFeatures = 5;
/// As for two classes: central differences with step 1e-5.
constexpr double kStep = 1e-5;
constexpr double kDifference = 1e-7;

BilevelSamples some_samples() {
  return {.train = random_samples(30, kFeatures, kClasses, 1),
          .validation = random_samples(12, kFeatures, kClasses, 2),
          .test = random_samples(9, kFeatures, kClasses, 3)};
}

void check_all(const ProductErrors& errors) {
  CHECK(errors.gradient < kDifference);
  CHECK(errors.hessian < kDifference);
  CHECK(errors.cross < kDifference);
  CHECK(errors.outer_w < kDifference);
  CHECK(errors.outer_lambda < kDifference);
  CHECK(errors.asymmetry < 1e-12);
}

TEST_CASE("products of multinomial logistic regression agree with central differences") {
  const std::pair<PenaltyGroups, std::int64_t> cases[] = {
      {PenaltyGroups::shared, 1}, {PenaltyGroups::per_class, kClasses}, {PenaltyGroups::per_weight, 15}};
  for (const auto& [groups, size] : cases) {
    MultinomialLogisticRegression problem(some_samples(), kClasses, groups);
    CHECK(problem.inner_size() == 15);
    CHECK(problem.outer_size() == size);
    check_all(check_products(problem, random_normals(15, 4), random_normals(size, 5), kStep, 6));
  }
}

TEST_CASE("products of data cleaning agree with central differences") {
  DataCleaning problem(some_samples(), kClasses, -0.5);
  CHECK(problem.outer_size() == 30);
  check_all(check_products(problem, random_normals(15, 4), random_normals(30, 5), kStep, 6));
  std::vector<double> diagonal(15);
  CHECK(problem.known_diagonal(random_normals(30, 5), diagonal));
  CHECK(diagonal[14] == std::exp(-0.5));
}

TEST_CASE("two classes with opposite weights are binary logistic regression") {
  BilevelSamples binary{.train = random_samples(30, kFeatures, 0, 1),
                        .validation = random_samples(12, kFeatures, 0, 2),
                        .test = random_samples(9, kFeatures, 0, 3)};
  BilevelSamples classes = binary;
  for (Samples* part : {&classes.train, &classes.validation, &classes.test})
    for (double& label : part->labels) label = label > 0 ? 1 : 0;
  LogisticRegression two(binary);
  MultinomialLogisticRegression many(classes, 2);
  const auto w = random_normals(kFeatures, 3);
  std::vector<double> pair(2 * kFeatures);
  for (std::size_t j = 0; j < w.size(); ++j) {
    pair[2 * j] = -w[j] / 2;
    pair[2 * j + 1] = w[j] / 2;
  }
  std::vector<double> g(kFeatures), pair_g(2 * kFeatures), unused(1);
  // Half the penalty: |pair|^2 = |w|^2 / 2.
  const double difference =
      two.inner(w, std::vector<double>{0.0}, g) - many.inner(pair, std::vector<double>{0.0}, pair_g);
  double squares = 0;
  for (const double weight : w) squares += weight * weight;
  CHECK(difference == doctest::Approx(squares / 4).epsilon(1e-12));
  CHECK(many.test(pair) == doctest::Approx(two.test(w)).epsilon(1e-13));
  two.outer(w, std::vector<double>{0.0}, g, unused);
  many.outer(pair, std::vector<double>{0.0}, pair_g, unused);
  for (std::size_t j = 0; j < w.size(); ++j) {
    CHECK(pair_g[2 * j + 1] == doctest::Approx(g[j]).epsilon(1e-12));
    CHECK(pair_g[2 * j] == doctest::Approx(-g[j]).epsilon(1e-12));
  }
  CHECK(MarginProblem::accuracy(binary.train, w) == MultinomialLogisticRegression::accuracy(classes.train, 2, pair));
}

TEST_CASE("large scores give finite losses") {
  SoftmaxSums sums({SparseMatrix::from_dense(1, 1, std::vector<double>{1}), {0}}, 2, "samples");
  CHECK(sums.value(std::vector<double>{0, 2000}) == 2000);
  CHECK(sums.value(std::vector<double>{2000, 0}) == 0);
  std::vector<double> gradient(2);
  sums.gradient(std::vector<double>{0, 2000}, {}, gradient);
  CHECK(gradient == std::vector<double>{-1, 1});
}

TEST_CASE("a sample of weight zero might as well be absent") {
  const Samples samples = random_samples(20, kFeatures, kClasses, 1);
  SoftmaxSums all(samples, kClasses, "samples");
  std::vector<std::int64_t> kept;
  std::vector<double> weights(20, 1.0);
  Samples fewer;
  for (std::int64_t i = 0; i < 20; ++i) {
    if (i % 3 == 0) {
      weights[i] = 0;
      continue;
    }
    kept.push_back(i);
    fewer.labels.push_back(samples.labels[i]);
  }
  fewer.features = samples.features.select_rows(kept);
  SoftmaxSums some(fewer, kClasses, "samples");
  const auto w = random_normals(15, 2);
  std::vector<double> a(15), b(15);
  CHECK(all.gradient(w, weights, a) == doctest::Approx(some.gradient(w, {}, b)).epsilon(1e-14));
  for (std::size_t j = 0; j < a.size(); ++j) CHECK(a[j] == doctest::Approx(b[j]).epsilon(1e-12));
}

TEST_CASE("multinomial products have the same bits on any number of threads") {
  const auto samples = random_samples(2500, 12, kClasses, 1);
  const auto run = [&](int threads) {
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    SoftmaxSums sums(samples, kClasses, "samples");
    std::vector<double> out(72);
    out.push_back(sums.gradient(random_normals(36, 2), {}, Vector(out).first(36)));
    sums.hessian_product(random_normals(36, 2), {}, random_normals(36, 3), Vector(out).subspan(36, 36));
    omp_set_num_threads(before);
    return out;
  };
  const auto one = run(1);
  CHECK(run(2) == one);
  CHECK(run(5) == one);
}

TEST_CASE("class labels and penalties that make no problem are refused with their reason") {
  BilevelSamples samples = some_samples();
  samples.train.labels[4] = kClasses;
  CHECK_THROWS_WITH_AS((MultinomialLogisticRegression{samples, kClasses}),
                       doctest::Contains("label 3 of sample 4 (from 0); expected a class from 0 to 2"), Error);
  samples.train.labels[4] = 0.5;
  CHECK_THROWS_AS((DataCleaning{samples, kClasses, 0}), Error);
  samples.train.labels[4] = 0;
  CHECK_THROWS_WITH_AS((DataCleaning{samples, kClasses, 1000}), doctest::Contains("overflows"), Error);
  CHECK_THROWS_WITH_AS((MultinomialLogisticRegression{samples, 1}), doctest::Contains("at least 2"), Error);
  samples.validation = {};
  CHECK_THROWS_WITH_AS((DataCleaning{samples, kClasses, 0}), doctest::Contains("an empty split?"), Error);
}

}  // namespace
}  // namespace deq
