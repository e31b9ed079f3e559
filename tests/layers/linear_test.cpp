#include "layers/linear.h"

#include <doctest/doctest.h>

#include "evaluate.h"
#include "layers/embedding.h"

using namespace deq;
using namespace deq::layers_tests;

TEST_CASE("a linear layer computes x W^T + b over the last axis") {
  ParameterStore store;
  const layers::Linear layer(ParamScope(store) / "fc", 2, 3);
  store.set("fc.weight", Tensor::of({3, 2}, std::vector<float>{1, 2, 3, 4, 5, 6}));
  store.set("fc.bias", Tensor::of({3}, std::vector<float>{10, 20, 30}));
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {2, 2}}, Rate::batch);
  const Value cube = graph.input("cube", {DType::f32, {2, 1, 2}}, Rate::batch);
  const Bindings bindings{{"x", Tensor::of({2, 2}, std::vector<float>{1, 1, 0, -1})},
                          {"cube", Tensor::of({2, 1, 2}, std::vector<float>{1, 1, 0, -1})}};
  const std::vector<double> expected{13, 27, 41, 8, 16, 24};
  CHECK(evaluate(layer(x), bindings) == expected);
  CHECK(evaluate(layer(cube), bindings) == expected);
  CHECK(layer(cube).shape() == Shape{2, 1, 3});
}

TEST_CASE("a linear layer names itself when the input does not fit") {
  ParameterStore store;
  const layers::Linear layer(ParamScope(store) / "fc", 2, 3, {.has_bias = false});
  CHECK(store.trainable_elements() == 6);
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {2, 4}}, Rate::batch);
  CHECK_THROWS_WITH(layer(x), doctest::Contains("layer 'fc'"));
}

TEST_CASE("layers of no size are refused by name") {
  ParameterStore store;
  const ParamScope scope(store);
  CHECK_THROWS_WITH_AS(layers::Linear(scope / "fc", 0, 3),
                       "linear: 0 -> 3 features: each must be at least 1 (layer 'fc')", Error);
  CHECK_THROWS_WITH_AS(layers::Linear(scope / "fc", 3, -1),
                       "linear: 3 -> -1 features: each must be at least 1 (layer 'fc')", Error);
  CHECK_THROWS_WITH_AS(layers::Embedding(scope / "words", 3, 0),
                       "embedding: 3 rows of 0: each must be at least 1 (layer 'words')", Error);
  CHECK(store.entries().empty());
}

TEST_CASE("an embedding looks rows up") {
  ParameterStore store;
  const layers::Embedding layer(ParamScope(store), 3, 2);
  store.set("weight", Tensor::of({3, 2}, std::vector<float>{0, 1, 2, 3, 4, 5}));
  Graph graph;
  const Value index = graph.input("index", {DType::i32, {2}}, Rate::batch);
  CHECK(evaluate(layer(index), {{"index", Tensor::of({2}, std::vector<std::int32_t>{2, 0})}}) ==
        std::vector<double>{4, 5, 0, 1});
}
