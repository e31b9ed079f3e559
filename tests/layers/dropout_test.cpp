#include "layers/dropout.h"

#include <doctest/doctest.h>

#include "evaluate.h"

using namespace deq;
using namespace deq::layers_tests;

namespace {

const Tensor kSeed = Tensor::of({2}, std::vector<std::int64_t>{11, 3});

}  // namespace

TEST_CASE("dropout is the identity in inference and at rate zero") {
  ParameterStore store;
  const layers::VariationalDropout drop(ParamScope(store) / "a", 0.5), none(ParamScope(store) / "b", 0.0);
  Graph inference(Mode::inference), training(Mode::training);
  const Value x = inference.input("x", {DType::f32, {2, 3, 3, 4}}, Rate::batch);
  const Value y = training.input("y", {DType::f32, {2, 3, 3, 4}}, Rate::batch);
  CHECK(drop(x) == x);
  CHECK(none(y) == y);
}

TEST_CASE("variational dropout drops whole channels and keeps the mean") {
  ParameterStore store;
  const layers::VariationalDropout drop(ParamScope(store), 0.25);
  Graph graph(Mode::training);
  const Value ones = constant(graph, 1.0, {8, 3, 3, 64});
  const std::vector<double> y = evaluate(drop(ones), {{"rng_seed", kSeed}});
  double sum = 0;
  for (std::size_t sample = 0; sample < 8; ++sample)
    for (std::size_t c = 0; c < 64; ++c) {
      const double first = y[sample * 9 * 64 + c];
      CHECK((first == 0.0 || first == doctest::Approx(4.0 / 3.0).epsilon(1e-6)));
      for (std::size_t pixel = 1; pixel < 9; ++pixel) REQUIRE(y[(sample * 9 + pixel) * 64 + c] == first);
      sum += first;
    }
  // 512 draws of deviation 0.58: six standard errors are 0.15.
  CHECK(sum / 512 == doctest::Approx(1.0).epsilon(0.15));
}

TEST_CASE("a layer draws the same mask on every trace and another layer another one") {
  ParameterStore store;
  const layers::Dropout drop(ParamScope(store) / "a", 0.5), other(ParamScope(store) / "b", 0.5);
  Graph graph(Mode::training);
  const Value x = graph.input("x", {DType::f32, {2, 5}}, Rate::batch);
  const Value z = graph.input("z", {DType::f32, {2, 5}}, Rate::iterate);
  CHECK(drop(x) == drop(x));
  CHECK(graph.node(drop(x).ref).inputs[1] == graph.node(drop(z).ref).inputs[1]);
  CHECK(graph.node(drop(x).ref).inputs[1] != graph.node(other(x).ref).inputs[1]);
  CHECK(graph.rate(graph.node(drop(z).ref).inputs[1]) == Rate::batch);
}

TEST_CASE("dropout refuses a rate outside [0, 1)") {
  ParameterStore store;
  CHECK_THROWS_WITH(layers::Dropout(ParamScope(store) / "drop", 1.0), doctest::Contains("layer 'drop'"));
}
