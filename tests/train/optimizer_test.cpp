#include "train/optimizer.h"

#include <doctest/doctest.h>

#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/cpu/backend.h"
#include "core/program.h"

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

TEST_CASE("an optimiser trains what it is told to") {
  Traced model;
  const Optimizer optimizer({.name = "sgd", .momentum = 0}, model.store,
                            [](const ParameterEntry& entry) { return entry.name == "used"; });
  const std::vector<Value> wrt = optimizer.parameters(model.graph);
  REQUIRE(wrt.size() == 1);
  CHECK(optimizer.state().contains("momentum.used"));
  CHECK(optimizer.state().size() == 1);
  const Value loss = model.loss();
  const Value norm = optimizer.update(model.graph, gradients(loss, wrt), constant(model.graph, 0.25), model.count, 0.0);
  CpuBackend cpu;
  Program program = Program::compile(model.graph, {norm}, cpu);
  program.run();
  CHECK(model.used.tensor()->data<float>()[0] == 0.5F);
  CHECK(model.unused.tensor()->data<float>()[0] == 1.0F);
}

TEST_CASE("an optimiser wants both betas") {
  const ParameterStore empty;
  CHECK_THROWS_WITH_AS(Optimizer({.betas = {0.9}}, empty), "optimizer: 1 betas, expected two", RequestError);
}

TEST_CASE("an optimiser of no parameters is refused") {
  const ParameterStore empty;
  Graph graph(Mode::training);
  const Value lr = graph.input("lr", {DType::f32, {}}, Rate::step);
  CHECK_THROWS_WITH_AS((void)Optimizer({}, empty).update(graph, {}, lr, lr, 0.0),
                       "optimizer: the model has no trainable parameter", Error);
}

}  // namespace deq
