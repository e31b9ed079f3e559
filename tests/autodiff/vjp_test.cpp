#include "autodiff/vjp.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <set>

#include "autodiff/jvp.h"
#include "autodiff/rules/rule.h"
#include "core/builder.h"

using namespace deq;

namespace {

Value image(Graph& graph, const std::string& name, Shape shape = {2, 4, 4, 3}) {
  return graph.input(name, {DType::f32, shape}, Rate::batch);
}

Value weight(Graph& graph, const std::string& name, Shape shape) {
  return graph.parameter(name, std::make_shared<Tensor>(DType::f32, shape));
}

Value ones_like(Value x) { return constant(*x.graph, 1, x.shape()); }

std::vector<Value> vjp_of(Value y, Value g, std::vector<Value> wrt) {
  return vjp(std::vector<Value>{y}, std::vector<Value>{g}, wrt);
}

template <class T>
int count(const Graph& graph, NodeId from = 0) {
  int n = 0;
  for (NodeId id = from; id < graph.size(); ++id) n += std::holds_alternative<T>(graph.node(id).op);
  return n;
}

int count_adds(const Graph& graph, NodeId from) {
  int n = 0;
  for (NodeId id = from; id < graph.size(); ++id) n += graph.node(id).op == Op(Binary{BinaryFn::add});
  return n;
}

/// An operation that nobody wrote a rule for.
struct Unknown {};

}  // namespace

static_assert(HasRule<Conv2d> && !HasRule<Unknown>, "an operation without a rule must not compile");
static_assert(!HasRule<Op>, "no rule may take the whole variant, or it would catch operations without one");
static_assert(kIsLeaf<Equilibrium> && !kIsLeaf<ImplicitGradient>);

TEST_CASE("a derivative in z alone makes no weight gradients") {
  Graph graph;
  const Value z = image(graph, "z"), w = weight(graph, "w", {5, 3, 3, 3});
  const Value gamma = weight(graph, "gamma", {5}), beta = weight(graph, "beta", {5});
  const Value y = relu(group_norm(conv2d(z, w, {.pad = 1}), 1, 1e-5, gamma, beta).y);
  const NodeId before = graph.size();

  const std::vector<Value> dz = vjp_of(y, image(graph, "v", y.shape()), {z});

  CHECK(dz[0].type() == z.type());
  CHECK(count<Conv2dWeightGrad>(graph) == 0);
  CHECK(count<Conv2dInputGrad>(graph) == 1);
  // v, relu_grad, group_norm_grad, conv2d_input_grad
  CHECK(graph.size() - before == 4);
}

TEST_CASE("a derivative in the weight alone makes no input gradient") {
  Graph graph;
  const Value x = image(graph, "x"), w = weight(graph, "w", {5, 3, 3, 3});
  const Value y = conv2d(x, w);

  const std::vector<Value> dw = vjp_of(y, ones_like(y), {w});

  CHECK(dw[0].type() == w.type());
  CHECK(count<Conv2dWeightGrad>(graph) == 1);
  CHECK(count<Conv2dInputGrad>(graph) == 0);
}

TEST_CASE("nodes off the path from the variables to the outputs are not visited") {
  Graph graph;
  const Value x = image(graph, "x"), other = image(graph, "other");
  const Value unrelated = exp(x);
  const Value y = tanh(other) + sigmoid(other);

  const NodeId before = graph.size();
  const std::vector<Value> out = vjp_of(y, ones_like(y), {x});

  CHECK(out[0].is_empty());
  CHECK(!unrelated.is_empty());
  CHECK(graph.size() - before == 1);  // the cotangent itself
}

TEST_CASE("taking the same derivative twice adds no node") {
  Graph graph;
  const Value x = image(graph, "x"), w = weight(graph, "w", {3, 3, 1, 1});
  const Value y = gelu(conv2d(x, w));
  const Value g = ones_like(y);

  const std::vector<Value> first = vjp_of(y, g, {x, w});
  const NodeId after_first = graph.size();
  const std::vector<Value> second = vjp_of(y, g, {x, w});

  CHECK(first == second);
  CHECK(graph.size() == after_first);
}

TEST_CASE("a value with n users sums their cotangents with n - 1 additions") {
  Graph graph;
  const Value x = image(graph, "x");
  constexpr int kUsers = 6;
  std::vector<Value> outputs, cotangents;
  for (int i = 0; i < kUsers; ++i) {
    outputs.push_back(affine(x, i + 2, 0));
    cotangents.push_back(image(graph, concat("v", i), x.shape()));
  }
  const NodeId before = graph.size();

  const std::vector<Value> dx = vjp(outputs, cotangents, std::vector<Value>{x});

  CHECK(!dx[0].is_empty());
  CHECK(count_adds(graph, before) == kUsers - 1);
}

TEST_CASE("a chain of doublings is differentiated in linear size") {
  Graph graph;
  Value y = image(graph, "x");
  const Value x = y;
  constexpr int kDepth = 30;
  for (int i = 0; i < kDepth; ++i) y = y + tanh(y);
  const NodeId forward = graph.size();

  vjp_of(y, image(graph, "v", y.shape()), {x});

  CHECK(graph.size() < 4 * forward);
}

TEST_CASE("a parameter used twice gets one gradient") {
  Graph graph;
  const auto storage = std::make_shared<Tensor>(DType::f32, Shape{3, 3});
  const Value w = graph.parameter("w", storage), same = graph.parameter("w", storage);
  const Value x = graph.input("x", {DType::f32, {2, 3}}, Rate::batch);
  const Value y = matmul(matmul(x, w), same);

  const std::vector<Value> dw = vjp_of(y, ones_like(y), {w});

  CHECK(dw[0].type() == w.type());
  CHECK(graph.node(dw[0].ref).op == Op(Binary{BinaryFn::add}));
}

TEST_CASE("the variables of a derivative are independent of each other") {
  Graph graph;
  const Value x = image(graph, "x");
  const Value h = tanh(x);
  const Value y = h * 3.0;

  const std::vector<Value> out = vjp_of(y, ones_like(y), {x, h});

  CHECK(out[0].is_empty());
  CHECK(out[1].type() == h.type());
}

TEST_CASE("derivative nodes carry the label of the node they differentiate") {
  Graph graph;
  const Value x = image(graph, "x");
  Value y;
  {
    const Scope stem(graph, "stem");
    const Scope activation(graph, "norm");
    y = group_norm(x, 3, 1e-5).y;
  }
  const Scope elsewhere(graph, "loss");
  const Value v = image(graph, "v", y.shape());
  const Value dx = vjp_of(y, v, {x})[0];
  CHECK(graph.node(dx.ref).label == "stem.norm");

  // Also through the nested walk of a second derivative.
  const NodeId before = graph.size();
  const Value u = image(graph, "u", x.shape());
  REQUIRE(!vjp_of(dx, u, {v})[0].is_empty());
  for (NodeId id = before; id < graph.size(); ++id) {
    if (id != u.ref.node) CHECK(graph.node(id).label == "stem.norm");
  }
}

TEST_CASE("integer values and winners stop the walk") {
  Graph graph;
  const Value table = weight(graph, "table", {7, 4});
  const Value index = graph.input("index", {DType::i32, {2, 3}}, Rate::batch);
  const Value y = gather(table, index);
  CHECK(vjp_of(y, ones_like(y), {table})[0].type() == table.type());
  CHECK_THROWS_AS(vjp_of(y, ones_like(y), {index}), Error);
}

TEST_CASE("wrong cotangents are refused with both types") {
  Graph graph;
  const Value x = image(graph, "x");
  const Value y = relu(x);
  CHECK_THROWS_WITH_AS(vjp_of(y, constant(graph, 1), {x}), "vjp: output 0 is f32[2,4,4,3] but its cotangent is f32[]",
                       Error);
  CHECK_THROWS_AS(gradients(y, std::vector<Value>{x}), Error);
  CHECK_THROWS_AS(vjp(std::vector<Value>{y}, {}, std::vector<Value>{x}), Error);
}

TEST_CASE("empty values and values of other graphs are refused by name") {
  Graph graph, other;
  const Value x = image(graph, "x"), foreign = image(other, "x");
  const Value y = relu(x), g = ones_like(y);
  CHECK_THROWS_WITH_AS(vjp_of(Value{}, g, {x}), doctest::Contains("vjp: an empty value"), Error);
  CHECK_THROWS_WITH_AS(vjp_of(y, g, {x, Value{}}), doctest::Contains("vjp: an empty value"), Error);
  CHECK_THROWS_WITH_AS(vjp(std::vector{y, Value{}}, std::vector{g, Value{}}, std::vector{x}),
                       doctest::Contains("vjp: an empty value"), Error);
  CHECK_THROWS_WITH_AS(vjp_of(y, g, {x, foreign}), "vjp: variable 1 belongs to another graph", Error);
  CHECK_THROWS_WITH_AS(vjp_of(y, foreign, {x}), "vjp: cotangent 0 belongs to another graph", Error);
  CHECK_THROWS_WITH_AS(gradients(Value{}, std::vector{x}), doctest::Contains("gradients: an empty value"), Error);
  CHECK_THROWS_WITH_AS(gradients_or_zeros(Value{}, std::vector{x}), doctest::Contains("gradients: an empty value"),
                       Error);
}

TEST_CASE("arithmetic on a gradient that is not there says what to take instead") {
  Graph graph;
  const Value x = image(graph, "x"), unused = image(graph, "unused");
  const std::vector<Value> gradient = gradients(sum(square(x)), std::vector{x, unused});
  CHECK_THROWS_WITH_AS(
      (void)(unused - gradient[1] * 0.1),
      "affine: an empty value: nothing was assigned to it, or it is the gradient in a variable that the "
      "loss does not depend on, for which gradients_or_zeros gives zeros",
      Error);
}

TEST_CASE("operations of the compiled program are refused by name") {
  Graph graph;
  const Value x = image(graph, "x"), addend = image(graph, "addend");
  const Scope scope(graph, "block");
  const Value fused = graph.add_one(GroupNorm{.groups = 3, .has_addend = true}, {x, addend});
  CHECK_THROWS_WITH_AS(vjp_of(fused, ones_like(fused), {x}),
                       "vjp: a fused group_norm has no derivative: it appears after differentiation (layer 'block')",
                       Error);
  const Value p = weight(graph, "p", {3}), lr = graph.input("lr", {DType::f32, {}}, Rate::step);
  const Value updated = graph.add_one(SgdUpdate{}, {p, p, p, lr});
  CHECK_THROWS_AS(vjp_of(updated, ones_like(updated), {p}), Error);
}

TEST_CASE("gradients_or_zeros fills in what the loss does not depend on") {
  Graph graph;
  const Value x = image(graph, "x"), other = image(graph, "other", {2});
  const std::vector<Value> out = gradients_or_zeros(sum(square(x)), std::vector<Value>{x, other});
  CHECK(out[0].type() == x.type());
  CHECK(out[1].type() == other.type());
  CHECK(std::holds_alternative<Constant>(graph.node(out[1].ref).op));
}

TEST_CASE("lists in braces are what spans of the same values are") {
  Graph graph;
  const Value x = image(graph, "x", {2, 3}), w = weight(graph, "w", {2, 3}), unused = weight(graph, "unused", {2});
  const Value y = deq::tanh(x * w), loss = sum(y);
  const std::vector<Value> wrt{x, w, unused};
  CHECK(vjp({y}, {x}, {x, w, unused}) == vjp_of(y, x, wrt));
  CHECK(gradients(loss, {x, w, unused}) == gradients(loss, wrt));
  CHECK(gradients_or_zeros(loss, {x, w, unused}) == gradients_or_zeros(loss, wrt));
  CHECK(jvp({y}, {x}, {w})[0].type() == y.type());
}
