#include "layers/sequential.h"

#include <doctest/doctest.h>

#include "evaluate.h"
#include "layers/activation.h"
#include "layers/linear.h"
#include "layers/pooling.h"

using namespace deq;
using namespace deq::layers_tests;

TEST_CASE("a sequence applies its layers in order") {
  ParameterStore store;
  const ParamScope scope(store);
  const layers::Linear first(scope / 0, 2, 3), last(scope / 2, 3, 1);
  const layers::Sequential sequence(first, layers::Relu(), last);
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {4, 2}}, Rate::batch);
  CHECK(sequence(x) == last(relu(first(x))));
  CHECK(layers::Sequential()(x) == x);
}

TEST_CASE("pooling layers take their windows from the options") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {1, 2, 2, 1}}, Rate::batch);
  const Bindings bindings{{"x", Tensor::of({1, 2, 2, 1}, std::vector<float>{1, 2, 3, 6})}};
  CHECK(evaluate(layers::AvgPool{{.kernel = 2, .stride = 2}}(x), bindings) == std::vector<double>{3});
  CHECK(evaluate(layers::MaxPool{{.kernel = 2, .stride = 2}}(x), bindings) == std::vector<double>{6});
  CHECK(evaluate(layers::GlobalAvgPool()(x), bindings) == std::vector<double>{3});
  CHECK(layers::Flatten()(x).shape() == Shape{1, 4});
}
