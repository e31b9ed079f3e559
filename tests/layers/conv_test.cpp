#include "layers/conv.h"

#include <doctest/doctest.h>

#include <cmath>
#include <utility>

#include "evaluate.h"

using namespace deq;
using namespace deq::layers_tests;

TEST_CASE("a weight-normed weight starts as it was drawn and has the lengths weight_g") {
  ParameterStore store(5);
  const layers::WeightNorm weight(ParamScope(store) / "conv", {3, 2, 2, 2}, init::uniform(1.0));
  CHECK(store.find("conv.weight_g").value->shape() == Shape{3, 1, 1, 1});
  Graph graph;
  const Value any = constant(graph, 0.0);
  const auto drawn = std::as_const(*weight.v.tensor()).data<float>();
  // float32 rounding of g.
  CHECK(max_difference(evaluate(weight(any)), {drawn.begin(), drawn.end()}) < 1e-6);

  store.set("conv.weight_g", Tensor::of({3, 1, 1, 1}, std::vector<float>{1, 2, 3}));
  const std::vector<double> w = evaluate(weight(any));
  for (std::size_t o = 0; o < 3; ++o) {
    double sum = 0;
    for (std::size_t i = 0; i < 8; ++i) sum += w[8 * o + i] * w[8 * o + i];
    CHECK(std::sqrt(sum) == doctest::Approx(static_cast<double>(o + 1)).epsilon(1e-12));
  }
}

TEST_CASE("a weight-normed weight leaves the solver loop") {
  ParameterStore store;
  const layers::Conv2d conv(ParamScope(store), 2, 3, 3, {.pad = 1, .has_bias = false, .has_weight_norm = true});
  Graph graph;
  const Value z = graph.input("z", {DType::f32, {1, 4, 4, 2}}, Rate::iterate);
  CHECK(graph.rate(conv.effective_weight(z).ref) == Rate::step);
  CHECK(graph.rate(conv(z).ref) == Rate::iterate);
}

TEST_CASE("a convolution adds its bias and follows its geometry") {
  ParameterStore store;
  const layers::Conv2d conv(ParamScope(store) / "c", 1, 2, 1, {.stride = 2});
  store.set("c.weight", Tensor::of({2, 1, 1, 1}, std::vector<float>{2, -1}));
  store.set("c.bias", Tensor::of({2}, std::vector<float>{10, 20}));
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {1, 3, 3, 1}}, Rate::batch);
  const std::vector<float> image{0, 1, 2, 3, 4, 5, 6, 7, 8};
  CHECK(conv(x).shape() == Shape{1, 2, 2, 2});
  CHECK(evaluate(conv(x), {{"x", Tensor::of({1, 3, 3, 1}, image)}}) ==
        std::vector<double>{10, 20, 14, 18, 22, 14, 26, 12});
}

TEST_CASE("a convolution refuses channels that its groups do not divide") {
  ParameterStore store;
  CHECK_THROWS_WITH(layers::Conv2d(ParamScope(store) / "c", 3, 4, 3, {.groups = 2}), doctest::Contains("layer 'c'"));
}
