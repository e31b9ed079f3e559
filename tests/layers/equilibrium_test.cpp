#include "layers/equilibrium.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "autodiff/vjp.h"
#include "core/cpu/backend.h"
#include "core/program.h"
#include "evaluate.h"
#include "layers/batch_norm.h"
#include "layers/dropout.h"
#include "layers/linear.h"
#include "solvers/names.h"
#include "solvers/policy.h"

using namespace deq;
using namespace deq::layers_tests;

namespace {

/// z -> tanh(drop(W z) + x): everything a cell can hold.
struct Cell {
  explicit Cell(const ParamScope& scope, double p = 0.5) : inner(scope / "inner", 3, 3), drop(scope / "drop", p) {}
  Value operator()(Value z, Value x) const { return deq::tanh(drop(inner(z)) + x); }
  layers::Linear inner;
  layers::Dropout drop;
};

const TensorType kState{DType::f32, {4, 3}};

}  // namespace

TEST_CASE("one line makes a function an equilibrium of one region and one gradient") {
  ParameterStore store;
  const Cell cell{ParamScope(store)};
  Graph graph(Mode::training);
  const Value x = graph.input("x", kState, Rate::batch);
  const Value y = equilibrium(cell, x, {.policy = traced_policy()});

  const std::vector<NodeId> solves = nodes_with<Equilibrium>(graph);
  REQUIRE(solves.size() == 1);
  const auto& gradient = std::get<ImplicitGradient>(graph.node(y.ref).op);
  CHECK(gradient.solve == solves[0]);
  CHECK(graph.node(y.ref).inputs[1] == Ref{solves[0], 0});
  const Region& region = graph.region(std::get<Equilibrium>(graph.node(solves[0]).op).region);
  CHECK(region.states.size() == 1);
  CHECK(graph.rate(region.states[0]) == Rate::iterate);
  CHECK(graph.rate(region.results[0]) == Rate::iterate);
  CHECK(graph.rate(y.ref) == Rate::batch);
}

TEST_CASE("an inference graph passes the solution on and applies f no more") {
  ParameterStore store;
  const Cell cell{ParamScope(store)};
  Graph graph(Mode::inference);
  const Value x = graph.input("x", kState, Rate::batch);
  const Value z = equilibrium(cell, x, {.policy = traced_policy()});
  CHECK(std::holds_alternative<Equilibrium>(graph.node(z.ref).op));
  CHECK(nodes_with<MatMul>(graph).size() == 1);
}

TEST_CASE("the output option overrides the mode") {
  ParameterStore store;
  const Cell cell{ParamScope(store)};
  const auto trace = [&](Graph& graph, EquilibriumOutput output) {
    const Value x = graph.input("x", kState, Rate::batch);
    const StateFunction f = [&](std::span<const Value> z) { return std::vector<Value>{cell(z[0], x)}; };
    return trace_equilibrium(f, {zeros_like(x)}, {.policy = traced_policy(), .output = output});
  };
  Graph training(Mode::training), inference(Mode::inference);
  const EquilibriumTrace iterate = trace(training, EquilibriumOutput::iterate);
  CHECK(std::holds_alternative<StandIn>(training.node(iterate.values[0].ref).op));
  CHECK(training.node(iterate.values[0].ref).inputs[1] == iterate.iterate[0].ref);
  const EquilibriumTrace applied = trace(inference, EquilibriumOutput::applied);
  CHECK(applied.values == applied.applied);
  CHECK(applied.node == applied.iterate[0].ref.node);
}

TEST_CASE("the solver's f and f at the solution share their dropout mask") {
  ParameterStore store;
  const Cell cell{ParamScope(store)};
  Graph graph(Mode::training);
  const Value x = graph.input("x", kState, Rate::batch);
  equilibrium(cell, x, {.policy = traced_policy()});
  CHECK(nodes_with<Random>(graph).size() == 1);
  CHECK(nodes_with<MatMul>(graph).size() == 2);
}

TEST_CASE("a function that draws anew at every trace is refused") {
  Graph graph(Mode::training);
  const Value x = graph.input("x", kState, Rate::batch);
  const auto fresh = [](Value z, Value at) {
    return z * 0.5 + at * random(*z.graph, Distribution::bernoulli, 0.5, z.shape());
  };
  CHECK_THROWS_WITH(equilibrium(fresh, x, {.policy = traced_policy()}), doctest::Contains("random numbers anew"));
}

TEST_CASE("a function that changes between its traces is refused") {
  for (const char* estimator : {"exact", "phantom-3"}) {
    CAPTURE(estimator);
    Graph graph(Mode::training);
    const Value x = graph.input("x", kState, Rate::batch);
    int calls = 0;
    const auto counting = [&calls](Value z, Value at) { return z * 0.5 + at * (++calls == 1 ? 1.0 : 2.0); };
    CHECK_THROWS_WITH_AS(equilibrium(counting, x, {.policy = policy_from_name(estimator)}),
                         doctest::Contains("equilibrium: f is another function when it is traced at the solution"),
                         Error);
  }
}

TEST_CASE("a state without a batch axis is refused with what to do") {
  Graph graph(Mode::training);
  const Value x = graph.input("x", {DType::f32, {}}, Rate::batch);
  CHECK_THROWS_WITH_AS(equilibrium([](Value z, Value at) { return z * 0.5 + at; }, x, {.policy = traced_policy()}),
                       doctest::Contains("state 0 is a scalar, but a state is [batch, ..]; reshape it to [1]"), Error);
}

TEST_CASE("a batch norm inside f updates its statistics once, at the solution") {
  ParameterStore store;
  const layers::BatchNorm norm(ParamScope(store), 3);
  Graph graph(Mode::training);
  const Value x = graph.input("x", kState, Rate::batch);
  equilibrium([&](Value z, Value at) { return norm(z) + at; }, x, {.policy = traced_policy()});
  REQUIRE(graph.assignments().size() == 2);
  for (const Assignment& assignment : graph.assignments()) CHECK(graph.rate(assignment.updated) == Rate::batch);
}

TEST_CASE("several states of different shapes are solved together") {
  Graph graph(Mode::training);
  const Value a = graph.input("a", kState, Rate::batch);
  const Value b = graph.input("b", {DType::f32, {4, 2}}, Rate::batch);
  const auto cell = [&](std::span<const Value> z, Value x) {
    return std::vector<Value>{z[0] * 0.5 + x, z[1] * 0.5 + sum(z[0], {1}, true) * 0.1 + b};
  };
  const layers::Equilibrium layer(cell, {.policy = traced_policy()});
  const std::vector<Value> y = layer(a, {zeros_like(a), zeros_like(b)});
  REQUIRE(y.size() == 2);
  CHECK(y[0].type() == a.type());
  CHECK(y[1].type() == b.type());
  CHECK(graph.node(y[0].ref).inputs.size() == 4);
}

TEST_CASE("a state that f does not read gets its gradient through every adjoint") {
  // z = 0.5 z + x, y = 3 z: y stands for 6 x, and no product with J^T ever touches its block.
  for (const auto& [name, method] : {std::pair<std::string, std::string>{"exact", "broyden"},
                                     {"exact", "broyden-lowrank"},
                                     {"exact", "anderson"},
                                     {"exact", "picard"},
                                     {"exact", "gmres"},
                                     {"exact", "bicgstab"},
                                     {"limited-20", "broyden"},
                                     {"shine-refine-20", "broyden"},
                                     {"jfb-refine-20", "broyden"}}) {
    CAPTURE(name);
    CAPTURE(method);
    Graph graph(Mode::training);
    const Value x = graph.input("x", {DType::f32, {1, 2}}, Rate::batch);
    const auto f = [&](std::span<const Value> z) { return std::vector<Value>{z[0] * 0.5 + x, z[0] * 3.0}; };
    const auto policy = std::make_shared<ImplicitPolicy>(SolverOptions{.max_steps = 60, .tolerance = {.value = 1e-6}},
                                                         with_backward_method(adjoint_from_name(name), method));
    const std::vector<Value> z = equilibrium(f, {zeros_like(x), zeros_like(x)}, {.policy = policy});
    const std::vector<Value> gradient = gradients(sum(z[1]), std::vector{x});
    CpuBackend backend;
    Program program = Program::compile(graph, gradient, backend);
    program.bind(x, Tensor::of<float>({1, 2}, std::vector<float>{1, 2}));
    for (int run = 0; run < 2; ++run) {
      program.run();
      const Tensor found = program.read(gradient[0]);
      for (const float entry : found.data<float>()) CHECK(entry == doctest::Approx(6).epsilon(1e-3));
    }
  }
}

TEST_CASE("a state that does not depend on any keeps its value while others leave the batch") {
  const std::vector<float> rates{0.1F, 0.9F, 0.5F, 0.7F, 0.3F};  // so that samples stop one by one
  Graph graph(Mode::inference);
  const Value x = graph.input("x", {DType::f32, {5, 1}}, Rate::batch);
  const auto f = [&](std::span<const Value> z) { return std::vector<Value>{z[0] * x + z[1], x * 3.0}; };
  const auto policy = std::make_shared<ImplicitPolicy>(
      SolverOptions{.method = Picard{}, .max_steps = 200, .tolerance = {.value = 1e-6}}, JacobianFree{},
      Compaction::on);
  const std::vector<Value> z = equilibrium(f, {zeros_like(x), zeros_like(x)}, {.policy = policy});
  CpuBackend backend;
  Program program = Program::compile(graph, z, backend);
  program.bind(x, Tensor::of<float>({5, 1}, rates));
  program.run();
  for (std::size_t i = 0; i < rates.size(); ++i) {
    CHECK(program.read(z[1]).data<float>()[i] == doctest::Approx(3 * rates[i]));
    CHECK(program.read(z[0]).data<float>()[i] == doctest::Approx(3 * rates[i] / (1 - rates[i])).epsilon(1e-3));
  }
}

TEST_CASE("two equilibria in one graph keep apart") {
  ParameterStore store;
  const Cell cell{ParamScope(store)};
  Graph graph(Mode::training);
  const Value x = graph.input("x", kState, Rate::batch);
  const layers::Equilibrium layer(cell, {.policy = traced_policy()});
  const Value y = layer(layer(x));
  CHECK(nodes_with<Equilibrium>(graph).size() == 2);
  CHECK(y.type() == kState);
}

TEST_CASE("unrolling is f applied again and again") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {1, 1}}, Rate::batch);
  const StateFunction f = [&](std::span<const Value> z) { return std::vector<Value>{z[0] * 0.5 + x}; };
  const std::vector<Value> z = unrolled(f, {zeros_like(x)}, 3);
  CHECK(evaluate(z[0], {{"x", Tensor::of({1, 1}, std::vector<float>{4})}}) == std::vector<double>{7});
  CHECK_THROWS_WITH(unrolled(f, {zeros_like(x)}, 0), doctest::Contains("expected at least 1"));
}

TEST_CASE("wrong equilibria are refused when they are traced") {
  Graph graph;
  const Value x = graph.input("x", kState, Rate::batch);
  const auto identity = [](Value z, Value at) { return z + at; };
  const auto narrow = [](Value z, Value) { return slice(z, 1, 0, 1); };
  CHECK_THROWS_WITH(equilibrium(identity, x, {}), doctest::Contains("no policy"));
  CHECK_THROWS_WITH(equilibrium(narrow, x, {.policy = traced_policy(), .name = "deq"}),
                    "deq: state 0 is f32[4,3] but f returns f32[4,1]");
  const auto foreign = [&](Value, Value) {
    static Graph other;
    return zeros_like(constant(other, 0.0, kState.shape));
  };
  CHECK_THROWS_WITH(equilibrium(foreign, x, {.policy = traced_policy()}), doctest::Contains("another graph"));
  CHECK_THROWS_WITH(equilibrium(StateFunction{}, {x}, {.policy = traced_policy(), .name = "deq"}),
                    "deq: needs a function and at least one state");
  CHECK_THROWS_WITH(unrolled([](std::span<const Value> z) { return std::vector<Value>{z[0]}; }, {}, 2),
                    "unrolled: needs a function and at least one state");
  CHECK_THROWS_WITH(zeros_like(Value{}), doctest::Contains("zeros_like: an empty value"));
  CHECK_THROWS_WITH(equilibrium(identity, x, Value{}, {.policy = traced_policy(), .name = "deq"}),
                    doctest::Contains("deq: an empty value"));
}

TEST_CASE("gradients through an equilibrium of an inference graph are refused, not cut off") {
  Graph graph(Mode::inference);
  const Value x = graph.input("x", kState, Rate::batch), other = graph.input("other", kState, Rate::batch);
  const auto cell = [](Value z, Value at) { return deq::tanh(z * 0.5 + at); };
  for (const EquilibriumOutput output : {EquilibriumOutput::iterate, EquilibriumOutput::applied}) {
    const Value loss = sum(equilibrium(cell, x, {.policy = traced_policy(), .output = output}) * other);
    CHECK_THROWS_WITH(gradients(loss, std::vector{x}), doctest::Contains("only training graphs can differentiate"));
    CHECK_FALSE(gradients(loss, std::vector{other})[0].is_empty());
  }
}

TEST_CASE("a program that checks finiteness says which solve met a nan, though the solver returned a finite state") {
  Graph graph(Mode::inference);
  const Value x = graph.input("x", {DType::f32, {2, 1}}, Rate::batch);
  const auto policy = std::make_shared<ImplicitPolicy>(SolverOptions{.max_steps = 5}, JacobianFree{});
  const auto f = [](Value z, Value at) { return log(at + z) * 0.1; };
  const Value z = equilibrium(f, x, {.policy = policy, .name = "logs"});
  CpuBackend backend;
  for (const bool checks : {false, true}) {
    Program program = Program::compile(graph, std::vector{z}, backend, {.checks_finite = checks});
    program.bind(x, Tensor::of<float>({2, 1}, std::vector<float>{1, -1}));
    if (checks) {
      CHECK_THROWS_WITH_AS(program.run(), "equilibrium: met inf or nan in 1 of 2 samples (layer 'logs')", Error);
    } else {
      program.run();
      CHECK(program.forward_report()->status[1] == SolveStatus::nonfinite);
    }
  }
}
