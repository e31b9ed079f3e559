#include "layers/parameter.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <utility>

using namespace deq;

TEST_CASE("a parameter's start does not depend on the order of construction") {
  ParameterStore forward(7), backward(7);
  forward.add("a", {50}, init::normal(1.0), true);
  forward.add("b", {50}, init::uniform(1.0), true);
  backward.add("b", {50}, init::uniform(1.0), true);
  backward.add("a", {50}, init::normal(1.0), true);
  for (const char* name : {"a", "b"}) {
    const auto x = std::as_const(*forward.find(name).value).data<float>();
    const auto y = std::as_const(*backward.find(name).value).data<float>();
    CHECK(std::equal(x.begin(), x.end(), y.begin()));
  }
}

TEST_CASE("another seed and another name give another start") {
  const Tensor base = init::draw(init::normal(1.0), {8}, 1, "w");
  for (const Tensor& other : {init::draw(init::normal(1.0), {8}, 2, "w"), init::draw(init::normal(1.0), {8}, 1, "v")})
    CHECK_FALSE(std::ranges::equal(base.data<float>(), other.data<float>()));
}

TEST_CASE("starts have the moments of their distribution") {
  constexpr int kCount = 20000;
  const auto moments = [](const init::Initializer& start) {
    const Tensor drawn = init::draw(start, {kCount}, 3, "w");
    double sum = 0, square = 0;
    for (const float x : drawn.data<float>()) sum += x, square += static_cast<double>(x) * x;
    return std::pair(sum / kCount, square / kCount);
  };
  // Six standard errors of a mean of 20000 draws with deviation 2 (normal) and 0.58 (uniform).
  CHECK(std::abs(moments(init::normal(2.0)).first) < 6 * 2.0 / std::sqrt(kCount));
  CHECK(moments(init::normal(2.0)).second == doctest::Approx(4.0).epsilon(0.06));
  CHECK(std::abs(moments(init::uniform(1.0)).first) < 6 * 0.58 / std::sqrt(kCount));
  CHECK(moments(init::uniform(1.0)).second == doctest::Approx(1.0 / 3.0).epsilon(0.06));
  CHECK(init::fan_in(25).value == doctest::Approx(0.2));
}

TEST_CASE("a name is given out once") {
  ParameterStore store;
  const ParamScope scope(store);
  const Parameter first(scope / "conv" / 0, "weight", {2}, init::ones());
  CHECK(first.name() == "conv.0.weight");
  CHECK_THROWS_WITH(Parameter(scope / "conv" / 0, "weight", {2}, init::ones()),
                    "parameter store: there is already a parameter 'conv.0.weight'");
  CHECK_THROWS_WITH((void)store.find("conv.1.weight"), doctest::Contains("no parameter is called 'conv.1.weight'"));
}

TEST_CASE("buffers are stored but not counted as trainable") {
  ParameterStore store;
  const ParamScope scope(store);
  const Parameter weight(scope / "a", "weight", {3, 2}, init::ones());
  const Parameter buffer(scope / "a", "running_mean", {5}, init::zeros(), /*is_trainable=*/false);
  CHECK(store.entries().size() == 2);
  CHECK(store.trainable_elements() == 6);
  CHECK(store.trainable_elements("a.") == 6);
  CHECK(store.trainable_elements("b.") == 0);
}

TEST_CASE("a parameter is one input of a graph however often it is read") {
  ParameterStore store;
  const Parameter weight(ParamScope(store), "weight", {3}, init::ones());
  Graph graph;
  CHECK(weight(graph) == weight(graph));
  CHECK(graph.parameters().size() == 1);
  CHECK(graph.storage(weight(graph).ref.node) == weight.tensor());
}

TEST_CASE("setting a parameter keeps its memory and refuses another shape") {
  ParameterStore store;
  const auto tensor = store.add("w", {2}, init::zeros(), true);
  store.set("w", Tensor::of({2}, std::vector<float>{1.F, 2.F}));
  CHECK(tensor->data<float>()[1] == 2.F);
  CHECK_THROWS_WITH(store.set("w", Tensor(DType::f32, {3})), "parameter store: 'w' is f32[2], given f32[3]");
}

TEST_CASE("random sites belong to names and stay clear of a graph's own") {
  ParameterStore store;
  const ParamScope scope(store);
  const std::uint32_t site = (scope / "a").random_site();
  CHECK((scope / "a").random_site() == site);
  CHECK((scope / "b").random_site() != site);
  CHECK((site >> 31) == 1);
}

TEST_CASE("a store can leave its parameters at zero") {
  ParameterStore store(1, ParameterStart::zeros);
  const Parameter weight(ParamScope(store), "weight", {3}, init::ones());
  for (const float x : weight.tensor()->data<float>()) CHECK(x == 0.F);
}
