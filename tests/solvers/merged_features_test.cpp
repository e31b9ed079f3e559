#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "core/random.h"
#include "data/feature_merge.h"
#include "solvers/bilevel/hoag.h"
#include "solvers/bilevel/logistic_regression.h"

namespace deq {
namespace {

/// Texts of a few hundred words, most of which occur in one text alone.
Samples random_texts(std::int64_t rows, std::uint32_t site) {
  constexpr std::int64_t kFeatures = 600;
  const RandomStream stream{.seed = 9, .site = site};
  std::vector<double> values(static_cast<std::size_t>(rows * kFeatures));
  std::vector<double> labels;
  for (std::int64_t i = 0; i < rows; ++i) {
    double score = 0.0;
    for (std::int64_t j = 0; j < 20; ++j) {
      const double draw = normal(stream, i * 20 + j);
      values[i * kFeatures + j] = std::max(0.0, std::round(2 * draw));
      score += j % 2 == 0 ? draw : -draw;
    }
    for (std::int64_t j = 20; j < kFeatures; ++j)
      if ((j * 37) % 101 == i + 50 * site) values[i * kFeatures + j] = static_cast<double>(1 + j % 3);
    labels.push_back(score > 0 ? 1 : -1);
  }
  return {.features = SparseMatrix::from_dense(rows, kFeatures, values).with_unit_rows(), .labels = labels};
}

OuterResult run(const Samples& train, const Samples& validation, std::vector<double> w, const std::string& method) {
  LogisticRegression problem({.train = train, .validation = validation, .test = {}});
  return run_hoag(
      problem, {0.0}, std::move(w),
      {.lower = {.method = *method_preset(method), .inner = {.max_iterations = 300}}, .tolerance = {}, .points = 6});
}

TEST_CASE("merged features take HOAG and SHINE through the same points") {
  TabularSet set;
  set.train = random_texts(50, 0);
  set.test = random_texts(50, 1);
  const MergedFeatures merged = merge_proportional_features(set);
  REQUIRE(merged.set.train.features.columns() < 200);
  const RandomStream stream{.seed = 3, .site = 5};
  std::vector<double> w(600);
  for (std::size_t j = 0; j < w.size(); ++j) w[j] = normal(stream, static_cast<std::int64_t>(j));
  for (const std::string method : {"hoag", "shine", "shine-opa", "jfb"}) {
    INFO(method);
    const OuterResult whole = run(set.train, set.test, w, method);
    const OuterResult merged_run = run(merged.set.train, merged.set.test, merged.coordinates(w), method);
    REQUIRE(whole.trace.size() == 6);
    REQUIRE(merged_run.trace.size() == 6);
    for (std::size_t k = 0; k < 6; ++k) {
      INFO("point " << k);
      CHECK(merged_run.trace[k].lambda[0] == doctest::Approx(whole.trace[k].lambda[0]).epsilon(1e-6));
      CHECK(merged_run.trace[k].validation_loss == doctest::Approx(whole.trace[k].validation_loss).epsilon(1e-6));
      CHECK(merged_run.trace[k].count.inner_gradients == whole.trace[k].count.inner_gradients);
      CHECK(merged_run.trace[k].count.hessian_products == whole.trace[k].count.hessian_products);
    }
  }
}

}  // namespace
}  // namespace deq
