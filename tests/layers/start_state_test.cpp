#include "layers/start_state.h"

#include <doctest/doctest.h>

#include <cmath>

#include "evaluate.h"

using namespace deq;
using namespace deq::layers_tests;

namespace {

Tensor seed_of(std::int64_t step) { return Tensor::of({2}, std::vector<std::int64_t>{11, step}); }

constexpr int kBatch = 64;

/// Two states of a batch, drawn at a step.
std::vector<std::vector<double>> drawn(const StartState& start, std::int64_t step) {
  Graph graph(Mode::training);
  const std::vector<Value> z0 = starting_states(graph, {{kBatch, 3, 5, 4}, {kBatch, 7}}, start);
  for (const Value z : z0) CHECK(graph.rate(z.ref) <= Rate::batch);
  return evaluate_all(z0, {{"rng_seed", seed_of(step)}});
}

double mean_square(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return sum / static_cast<double>(values.size());
}

}  // namespace

TEST_CASE("states start at zero and draw nothing unless asked to") {
  Graph graph(Mode::training);
  const std::vector<Value> z0 = starting_states(graph, {{2, 3}, {2, 4}});
  CHECK(nodes_with<Random>(graph).empty());
  CHECK(evaluate(z0[1]) == std::vector<double>(8, 0.0));
}

TEST_CASE("a Gaussian start has its deviation, and steps draw apart but always alike") {
  const StartState start{.kind = StartKind::gaussian, .deviation = 0.5};
  const auto first = drawn(start, 3);
  // 3,840 draws: six standard errors of the mean square are 0.034.
  CHECK(mean_square(first[0]) == doctest::Approx(0.25).epsilon(0.14));
  CHECK(first == drawn(start, 3));
  CHECK(first != drawn(start, 4));
  CHECK(max_difference(first[1], {first[0].begin(), first[0].begin() + std::ssize(first[1])}) > 0.1);
}

TEST_CASE("a mixed start is all zero or all Gaussian for each sample, in all its states alike") {
  const StartState start{.kind = StartKind::mixed, .gaussian_share = 0.25};
  int gaussian = 0;
  for (const std::int64_t step : {1, 2, 3, 4}) {
    const auto z0 = drawn(start, step);
    for (std::size_t b = 0; b < kBatch; ++b) {
      const std::vector<double> image(z0[0].begin() + std::ssize(z0[0]) / kBatch * std::ptrdiff_t(b),
                                      z0[0].begin() + std::ssize(z0[0]) / kBatch * std::ptrdiff_t(b + 1));
      const std::vector<double> row(z0[1].begin() + 7 * std::ptrdiff_t(b), z0[1].begin() + 7 * std::ptrdiff_t(b + 1));
      const bool is_drawn = mean_square(row) > 0;
      gaussian += is_drawn ? 1 : 0;
      for (const double value : image) CHECK((value != 0.0) == is_drawn);
      for (const double value : row) CHECK((value != 0.0) == is_drawn);
      if (is_drawn) CHECK(mean_square(image) == doctest::Approx(1.0).epsilon(0.9));  // not scaled by its probability
    }
  }
  // 256 samples: four standard errors of the share are 0.11.
  CHECK(gaussian / 256.0 == doctest::Approx(0.25).epsilon(0.44));
}

TEST_CASE("starts that make no sense are refused with their reason") {
  Graph graph(Mode::training);
  CHECK_THROWS_WITH_AS((void)starting_states(graph, {}), doctest::Contains("no state"), Error);
  CHECK_THROWS_WITH_AS((void)starting_states(graph, {{2, 3}, {}}), doctest::Contains("a scalar"), Error);
  CHECK_THROWS_WITH_AS((void)starting_states(graph, {{2, 3}, {3, 3}}), doctest::Contains("2 and of 3 samples"), Error);
  CHECK_THROWS_WITH_AS((void)starting_states(graph, {{2, 3}}, {.deviation = 0.0}), doctest::Contains("deviation is 0"),
                       Error);
  CHECK_THROWS_WITH_AS((void)starting_states(graph, {{2, 3}}, {.gaussian_share = 1.0}),
                       doctest::Contains("gaussian_share is 1"), Error);
}
