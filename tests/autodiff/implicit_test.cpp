#include <doctest/doctest.h>

#include <memory>

#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/interpreter.h"
#include "core/reference/backend.h"

using namespace deq;

namespace {

/// A policy that is only asked whether it needs J^T; nothing is solved here.
class PolicyStub final : public EquilibriumPolicy {
 public:
  explicit PolicyStub(bool needs) : needs_(needs) {}
  [[nodiscard]] std::unique_ptr<FixedPointSolver> make_solver(const StateSpec&, StateOps&) const override {
    return nullptr;
  }
  [[nodiscard]] std::unique_ptr<AdjointSolver> make_adjoint(const StateSpec&, StateOps&) const override {
    return nullptr;
  }
  [[nodiscard]] bool needs_vjp() const override { return needs_; }
  [[nodiscard]] std::string describe() const override { return "stub"; }

 private:
  bool needs_;
};

using Blocks = std::vector<Value>;

/// Two states of width 3: f0 = tanh(z0 A + x), f1 = z0, so that z1 drives nothing and J^T v has a zero block.
struct Layer {
  Graph graph{Mode::training};
  Value a, x;
  NodeId equilibrium = 0;
  Blocks z, y, out;

  explicit Layer(bool needs_vjp) {
    const TensorType type{DType::f32, {2, 3}};
    a = graph.parameter("a", std::make_shared<Tensor>(DType::f32, Shape{3, 3}));
    x = graph.input("x", type, Rate::batch);
    const Blocks states{graph.input("s0", type, Rate::iterate), graph.input("s1", type, Rate::iterate)};
    const RegionId region = graph.add_region(states, f(states));
    const Value zero = constant(graph, 0, type.shape);
    z = graph.add(Equilibrium{.region = region, .policy = std::make_shared<PolicyStub>(needs_vjp)}, Blocks{zero, zero});
    equilibrium = z[0].ref.node;
    y = f(z);
    out = graph.add(ImplicitGradient{.solve = equilibrium}, Blocks{y[0], y[1], z[0], z[1]});
  }

  [[nodiscard]] Blocks f(const Blocks& state) const { return {deq::tanh(matmul(state[0], a) + x), state[0]}; }
};

template <class T>
std::vector<NodeId> nodes_with(const Graph& graph) {
  std::vector<NodeId> found;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (std::holds_alternative<T>(graph.node(id).op)) found.push_back(id);
  }
  return found;
}

}  // namespace

TEST_CASE("the gradient of an equilibrium enters through one adjoint solve") {
  Layer layer(/*needs_vjp=*/true);
  const std::vector<Value> grads = gradients(sum(square(layer.out[0])), Blocks{layer.a, layer.x});
  CHECK(grads[0].type() == layer.a.type());
  CHECK(grads[1].type() == layer.x.type());

  const std::vector<NodeId> solves = nodes_with<LinearSolve>(layer.graph);
  REQUIRE(solves.size() == 1);
  const Node& solve = layer.graph.node(solves[0]);
  // w0, w1 (nobody uses out[1]: zeros), and one z* block.
  REQUIRE(solve.inputs.size() == 3);
  CHECK(std::holds_alternative<Constant>(layer.graph.node(solve.inputs[1]).op));
  CHECK(solve.inputs[2] == layer.z[0].ref);
  CHECK(std::get<LinearSolve>(solve.op).equilibrium == layer.equilibrium);
  CHECK(layer.graph.rate(solve.inputs[0]) <= Rate::batch);
}

TEST_CASE("the adjoint's region is v -> J^T v on the nodes that f left behind") {
  Layer layer(/*needs_vjp=*/true);
  gradients(sum(square(layer.out[0])), Blocks{layer.a});
  Graph& graph = layer.graph;
  const Node solve = graph.node(nodes_with<LinearSolve>(graph).at(0));
  const Region region = graph.region(std::get<LinearSolve>(solve.op).region);
  REQUIRE(region.states.size() == 2);
  REQUIRE(region.results.size() == 2);
  CHECK(graph.rate(region.states[0]) == Rate::cotangent);
  CHECK(graph.rate(region.results[0]) == Rate::cotangent);
  // z1 drives nothing.
  CHECK(graph.node(region.results[1]).op == Op(Constant{layer.z[1].type(), 0}));
  // f was traced twice, on the states and on z*; the region adds no third trace.
  int tanh_count = 0;
  for (const NodeId id : nodes_with<Unary>(graph)) tanh_count += graph.node(id).op == Op(Unary{UnaryFn::tanh});
  CHECK(tanh_count == 2);
}

TEST_CASE("the region evaluates to J^T v") {
  // f0 = z0 A in one block, z* read as an input: J = A^T per row, so J^T v = v A^T.
  Graph graph;
  const TensorType type{DType::f32, {1, 2}};
  const Value z = graph.input("z", type, Rate::batch), a = graph.input("a", {DType::f32, {2, 2}}, Rate::step);
  const Value v = graph.input("v", type, Rate::cotangent);
  const Blocks result = vjp(Blocks{matmul(z, a)}, Blocks{v}, Blocks{z});
  ReferenceBackend backend;
  const Bindings bindings{{"z", Tensor::of<double>({1, 2}, std::vector<double>{7, 8})},
                          {"a", Tensor::of<double>({2, 2}, std::vector<double>{1, 2, 3, 4})},
                          {"v", Tensor::of<double>({1, 2}, std::vector<double>{1, 10})}};
  const Tensor value = interpret(graph, result, bindings, backend).at(0);
  CHECK(value.data<double>()[0] == 21);
  CHECK(value.data<double>()[1] == 43);
}

TEST_CASE("a policy that never evaluates J^T gets an empty region") {
  Layer layer(/*needs_vjp=*/false);
  const std::vector<Value> grads = gradients(sum(square(layer.out[0])), Blocks{layer.a});
  CHECK(!grads[0].is_empty());
  const Node solve = layer.graph.node(nodes_with<LinearSolve>(layer.graph).at(0));
  const Region region = layer.graph.region(std::get<LinearSolve>(solve.op).region);
  CHECK(region.states.empty());
  CHECK(region.results.empty());
  for (NodeId id = 0; id < layer.graph.size(); ++id) CHECK(layer.graph.rate({id, 0}) != Rate::cotangent);
}

TEST_CASE("two losses on one equilibrium get adjoint solves with inputs of their own") {
  Layer layer(/*needs_vjp=*/true);
  gradients(sum(square(layer.out[0])), Blocks{layer.a});
  gradients(sum(layer.out[1]), Blocks{layer.a});
  const std::vector<NodeId> solves = nodes_with<LinearSolve>(layer.graph);
  REQUIRE(solves.size() == 2);
  const auto region = [&](NodeId id) -> const Region& {
    return layer.graph.region(std::get<LinearSolve>(layer.graph.node(id).op).region);
  };
  CHECK(region(solves[0]).states != region(solves[1]).states);
}

TEST_CASE("a result that hands v through is copied into a value of its own") {
  Graph graph(Mode::training);
  const TensorType type{DType::f32, {2, 3}};
  const Value b = graph.parameter("b", std::make_shared<Tensor>(DType::f32, Shape{3}));
  const Value s0 = graph.input("s0", type, Rate::iterate), s1 = graph.input("s1", type, Rate::iterate);
  const RegionId region = graph.add_region({s0, s1}, {s1 + b, copy(s0)});
  const Value zero = constant(graph, 0, type.shape);
  const Blocks z =
      graph.add(Equilibrium{.region = region, .policy = std::make_shared<PolicyStub>(true)}, Blocks{zero, zero});
  const Blocks out = graph.add(ImplicitGradient{.solve = z[0].ref.node}, Blocks{z[1] + b, copy(z[0]), z[0], z[1]});
  gradients(sum(out[0]), Blocks{b});

  const Node solve = graph.node(nodes_with<LinearSolve>(graph).at(0));
  for (const Ref result : graph.region(std::get<LinearSolve>(solve.op).region).results) {
    CHECK(graph.node(result).op == Op(Copy{}));
  }
}
