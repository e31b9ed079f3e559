#include <doctest/doctest.h>

#include <cmath>

#include "evaluate.h"
#include "layers/batch_norm.h"
#include "layers/group_norm.h"
#include "layers/layer_norm.h"

using namespace deq;
using namespace deq::layers_tests;

namespace {

constexpr double kExact = 1e-9;  // double arithmetic on O(1) values
constexpr double kEps = 1e-5;

double mean_of(const std::vector<double>& v) {
  double sum = 0;
  for (const double x : v) sum += x;
  return sum / static_cast<double>(v.size());
}
double variance_of(const std::vector<double>& v) {
  const double mean = mean_of(v);
  double sum = 0;
  for (const double x : v) sum += (x - mean) * (x - mean);
  return sum / static_cast<double>(v.size());
}
std::vector<double> elements_of(const Tensor& tensor) {
  const auto data = tensor.data<float>();
  return {data.begin(), data.end()};
}

}  // namespace

TEST_CASE("a layer norm normalises every row and then scales and shifts") {
  ParameterStore store;
  const layers::LayerNorm norm(ParamScope(store), 4);
  store.set("weight", Tensor::of({4}, std::vector<float>{1, 2, 3, 4}));
  store.set("bias", Tensor::of({4}, std::vector<float>{0, 1, 0, -1}));
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {2, 3, 4}}, Rate::batch);
  const Tensor input = wave({2, 3, 4});
  std::vector<double> expected;
  const std::vector<double> flat = elements_of(input);
  for (std::size_t row = 0; row < 6; ++row) {
    const std::vector<double> r(flat.begin() + static_cast<std::ptrdiff_t>(4 * row),
                                flat.begin() + static_cast<std::ptrdiff_t>(4 * row + 4));
    const double bias[] = {0, 1, 0, -1};
    for (std::size_t i = 0; i < 4; ++i)
      expected.push_back((r[i] - mean_of(r)) / std::sqrt(variance_of(r) + kEps) * static_cast<double>(i + 1) + bias[i]);
  }
  CHECK(max_difference(evaluate(norm(x), {{"x", input}}), expected) < kExact);
}

TEST_CASE("a group norm leaves mean 0 and variance 1 in every sample and group") {
  ParameterStore store;
  const layers::GroupNorm norm(ParamScope(store), 4, 2, {.is_affine = false});
  CHECK(store.entries().empty());
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {2, 3, 3, 4}}, Rate::batch);
  const std::vector<double> y = evaluate(norm(x), {{"x", wave({2, 3, 3, 4})}});
  for (std::size_t sample = 0; sample < 2; ++sample)
    for (std::size_t group = 0; group < 2; ++group) {
      std::vector<double> members;
      for (std::size_t pixel = 0; pixel < 9; ++pixel)
        for (std::size_t c = 0; c < 2; ++c) members.push_back(y[(sample * 9 + pixel) * 4 + group * 2 + c]);
      CHECK(std::abs(mean_of(members)) < kExact);
      CHECK(variance_of(members) == doctest::Approx(1.0).epsilon(1e-4));  // eps 1e-5 against a variance near 0.5
    }
}

TEST_CASE("a group norm refuses groups that do not divide the channels") {
  ParameterStore store;
  CHECK_THROWS_WITH(layers::GroupNorm(ParamScope(store) / "gn", 6, 4), doctest::Contains("layer 'gn'"));
}

TEST_CASE("a batch norm in training normalises with the batch and assigns the running statistics") {
  ParameterStore store;
  const layers::BatchNorm norm(ParamScope(store) / "bn", 1, {.momentum = 0.25});
  store.set("bn.running_mean", Tensor::of({1}, std::vector<float>{2}));
  Graph graph(Mode::training);
  const Value x = graph.input("x", {DType::f32, {2, 1, 2, 1}}, Rate::batch);
  const Tensor input = wave({2, 1, 2, 1});
  const std::vector<double> flat = elements_of(input);
  const double mean = mean_of(flat), variance = variance_of(flat);
  std::vector<double> expected;
  for (const double v : flat) expected.push_back((v - mean) / std::sqrt(variance + kEps));
  CHECK(max_difference(evaluate(norm(x), {{"x", input}}), expected) < kExact);

  REQUIRE(graph.assignments().size() == 2);
  const Assignment& mean_update = graph.assignments()[0];
  const Assignment& variance_update = graph.assignments()[1];
  CHECK(graph.input_name(mean_update.target.node) == "bn.running_mean");
  CHECK(graph.input_name(variance_update.target.node) == "bn.running_var");
  CHECK(evaluate(graph.value(mean_update.updated), {{"x", input}})[0] ==
        doctest::Approx(0.75 * 2 + 0.25 * mean).epsilon(1e-12));
  // The running variance takes the unbiased estimate: 4 elements, so 4/3 of the biased one.
  CHECK(evaluate(graph.value(variance_update.updated), {{"x", input}})[0] ==
        doctest::Approx(0.75 + 0.25 * variance * 4.0 / 3.0).epsilon(1e-12));
}

TEST_CASE("a batch norm in inference uses the running statistics and assigns nothing") {
  ParameterStore store;
  const layers::BatchNorm norm(ParamScope(store) / "bn", 2);
  store.set("bn.running_mean", Tensor::of({2}, std::vector<float>{1, 2}));
  store.set("bn.running_var", Tensor::of({2}, std::vector<float>{4, 9}));
  store.set("bn.weight", Tensor::of({2}, std::vector<float>{2, 3}));
  store.set("bn.bias", Tensor::of({2}, std::vector<float>{-1, 1}));
  Graph graph(Mode::inference);
  const Value x = graph.input("x", {DType::f32, {1, 2}}, Rate::batch);
  const std::vector<double> y = evaluate(norm(x), {{"x", Tensor::of({1, 2}, std::vector<float>{3, 5})}});
  CHECK(y[0] == doctest::Approx(2.0 / std::sqrt(4 + kEps) * 2 - 1).epsilon(1e-12));
  CHECK(y[1] == doctest::Approx(3.0 / std::sqrt(9 + kEps) * 3 + 1).epsilon(1e-12));
  CHECK(graph.assignments().empty());
}

TEST_CASE("a batch norm on the solver's iterate assigns nothing") {
  ParameterStore store;
  const layers::BatchNorm norm(ParamScope(store), 2);
  Graph graph(Mode::training);
  norm(graph.input("z", {DType::f32, {4, 2}}, Rate::iterate));
  CHECK(graph.assignments().empty());
  norm(graph.input("x", {DType::f32, {4, 2}}, Rate::batch));
  CHECK(graph.assignments().size() == 2);
}
