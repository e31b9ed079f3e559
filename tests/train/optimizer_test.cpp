#include "train/optimizer.h"

#include <doctest/doctest.h>

#include "autodiff/vjp.h"
#include "core/builder.h"

namespace deq {
namespace {

struct Traced {
  ParameterStore store;
  Graph graph{Mode::training};
  Parameter used{ParamScope(store), "used", {3}, init::ones()};
  Parameter unused{ParamScope(store), "spare.weight", {2}, init::ones()};
  Value lr = graph.input("lr", {DType::f32, {}}, Rate::step), count = graph.input("count", lr.type(), Rate::step);

  [[nodiscard]] Value loss() { return sum(square(used(graph))); }
};

}  // namespace

TEST_CASE("a trainable parameter that the loss does not read is named by the optimiser") {
  Traced model;
  const Optimizer optimizer({}, model.store);
  const std::vector<Value> wrt = optimizer.parameters(model.graph);
  CHECK_THROWS_WITH_AS(
      (void)optimizer.update(model.graph, gradients(model.loss(), wrt), model.lr, model.count, /*clip_norm=*/1.0),
      doctest::Contains("the loss does not depend on the trainable parameter 'spare.weight'"), Error);
  const std::vector<Value> zeros = gradients_or_zeros(model.loss(), wrt);
  CHECK(optimizer.update(model.graph, zeros, model.lr, model.count, 1.0).shape() == Shape{});
}

TEST_CASE("an optimiser of no parameters is refused") {
  const ParameterStore empty;
  Graph graph(Mode::training);
  const Value lr = graph.input("lr", {DType::f32, {}}, Rate::step);
  CHECK_THROWS_WITH_AS((void)Optimizer({}, empty).update(graph, {}, lr, lr, 0.0),
                       "optimizer: the model has no trainable parameter", Error);
}

}  // namespace deq
