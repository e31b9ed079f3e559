#include <doctest/doctest.h>

#include "autodiff/gradcheck.h"
#include "autodiff/jacobian_penalty.h"
#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/reference/backend.h"
#include "tests/op_cases/op_cases.h"

using namespace deq;

namespace {

// As for the grid: differences are good to about 1e-10.
constexpr double kTolerance = 1e-6;

/// An input with smooth random values, bound at once.
Value bound_input(Graph& graph, Bindings& bindings, const std::string& name, Shape shape) {
  const op_cases::CaseInput input{.name = name, .type = {DType::f32, shape}, .fill = op_cases::Fill::off_zero};
  bindings[name] = op_cases::values_of(input, 11 + bindings.size());
  return graph.input(name, input.type, Rate::batch);
}

using Activation = Value (*)(Value);

/// A residual block of an equilibrium layer: z -> norm(z + act(norm(conv(act(conv(z) + x))))).
struct Block {
  Graph graph;
  Bindings bindings;
  std::vector<std::string> names{"z", "x", "w1", "w2", "gamma", "beta"};
  Value z, y;

  explicit Block(Activation activation) {
    z = bound_input(graph, bindings, "z", {2, 3, 4, 4});
    const Value x = bound_input(graph, bindings, "x", {2, 3, 4, 6});
    const Value w1 = bound_input(graph, bindings, "w1", {6, 4, 3, 3});
    const Value w2 = bound_input(graph, bindings, "w2", {4, 6, 1, 1});
    const Value gamma = bound_input(graph, bindings, "gamma", {4}), beta = bound_input(graph, bindings, "beta", {4});
    const Value inner = activation(group_norm(conv2d(z, w1, {.pad = 1}) + x, 3, 1e-5).y);
    y = group_norm(z + activation(conv2d(inner, w2)), 2, 1e-5, gamma, beta).y;
  }
};

void expect_second_order(Activation activation) {
  Block block(activation);
  const Value v = bound_input(block.graph, block.bindings, "v", block.y.shape());
  const std::vector<Value> row = vjp(std::vector<Value>{block.y}, std::vector<Value>{v}, std::vector<Value>{block.z});
  const std::vector<Value> penalty{sum(square(row[0]))};
  std::vector<std::string> names = block.names;
  names.push_back("v");

  const GradcheckReport report =
      gradcheck(penalty, block.bindings, names, {.elements_per_input = 6, .directions = 1, .step = 1e-3});

  INFO(report.worst);
  CHECK(report.worst_error <= kTolerance);
}

}  // namespace

TEST_CASE("the gradient of |v^T J|^2 is right for convolution, group norm and relu") { expect_second_order(relu); }

TEST_CASE("the gradient of |v^T J|^2 is right for convolution, group norm and gelu") { expect_second_order(gelu); }

TEST_CASE("the gradient of |v^T J|^2 is right for convolution, group norm and tanh") { expect_second_order(deq::tanh); }

TEST_CASE("the gradient of |v^T J|^2 is right for batch norm") {
  Graph graph;
  Bindings bindings;
  const Value z = bound_input(graph, bindings, "z", {3, 2, 2, 3});
  const Value w = bound_input(graph, bindings, "w", {3, 3, 1, 1});
  const Value gamma = bound_input(graph, bindings, "gamma", {3}), beta = bound_input(graph, bindings, "beta", {3});
  const Value v = bound_input(graph, bindings, "v", z.shape());
  const Value y = sigmoid(batch_norm(conv2d(z, w), 1e-5, gamma, beta).y);
  const std::vector<Value> row = vjp(std::vector<Value>{y}, std::vector<Value>{v}, std::vector<Value>{z});
  const std::vector<Value> penalty{sum(square(row[0]))};

  const GradcheckReport report =
      gradcheck(penalty, bindings, std::vector<std::string>{"z", "w", "gamma", "v"}, {.step = 1e-3});

  INFO(report.worst);
  CHECK(report.worst_error <= kTolerance);
}

TEST_CASE("an empty batch has second derivatives") {
  Graph graph;
  Bindings bindings;
  const Value x = bound_input(graph, bindings, "x", {0, 3, 3, 4});
  const Value gamma = bound_input(graph, bindings, "gamma", {4}), beta = bound_input(graph, bindings, "beta", {4});
  for (const Value y : {group_norm(x, 2, 1e-5, gamma, beta).y, batch_norm(x, 1e-5, gamma, beta).y}) {
    const std::vector<Value> dx = gradients(sum(y * y), std::vector<Value>{x});
    const std::vector<Value> second = gradients(sum(square(dx[0])), std::vector<Value>{x, gamma});
    ReferenceBackend backend;
    const std::vector<Tensor> values = interpret(graph, second, bindings, backend);
    CHECK(values[0].shape() == x.shape());
    for (const double value : values[1].data<double>()) CHECK(value == 0.0);  // a sum over no samples
  }
}

TEST_CASE("an operand that is also the cotangent is differentiated once for both uses") {
  Graph graph;
  Bindings bindings;
  const Value x = bound_input(graph, bindings, "x", {2, 5, 4});
  const std::vector<Value> y{sum(group_norm(x, 2, 1e-5).y * x)};
  const std::vector<Value> dx = gradients(y[0], std::vector<Value>{x});

  const GradcheckReport report = gradcheck(dx, bindings, std::vector<std::string>{"x"});

  INFO(report.worst);
  CHECK(report.worst_error <= kTolerance);
}

TEST_CASE("the Jacobian penalty is the mean square of the rows it draws") {
  // J = diag(a): |eps^T J|^2 / (B N) = mean(a^2 eps^2), which tends to mean(a^2) over many probes.
  Graph graph;
  Bindings bindings;
  const Value z = bound_input(graph, bindings, "z", {64, 32});
  const Value a = bound_input(graph, bindings, "a", {32});
  bindings["rng_seed"] = Tensor::of<std::int64_t>({2}, std::vector<std::int64_t>{5, 0});
  const std::vector<Value> y{z * a}, states{z};
  const Value penalty = jacobian_penalty(y, states, /*probes=*/8);
  ReferenceBackend backend;

  const std::vector<Value> wanted{penalty, mean(square(a))};
  const std::vector<Tensor> values = interpret(graph, wanted, bindings, backend);

  // 8 x 64 draws an entry, 32 entries: standard deviation about sqrt(2 / 16384) = 1.1 %, so 5 % is beyond 4 of them.
  CHECK(values[0].data<double>()[0] == doctest::Approx(values[1].data<double>()[0]).epsilon(0.05));
}

TEST_CASE("the Jacobian penalty has the gradient that differences find") {
  Block block(gelu);
  block.bindings["rng_seed"] = Tensor::of<std::int64_t>({2}, std::vector<std::int64_t>{5, 0});
  const std::vector<Value> penalty{
      jacobian_penalty(std::vector<Value>{block.y}, std::vector<Value>{block.z}, /*probes=*/2) * 100.0};

  const GradcheckReport report = gradcheck(penalty, block.bindings, std::vector<std::string>{"x", "w1", "w2", "gamma"},
                                           {.elements_per_input = 4, .directions = 1, .step = 1e-3});

  INFO(report.worst);
  CHECK(report.worst_error <= kTolerance);
}

TEST_CASE("the Jacobian penalty refuses blocks that do not match") {
  Graph graph;
  const Value z = graph.input("z", {DType::f32, {2, 3}}, Rate::batch);
  CHECK_THROWS_AS(jacobian_penalty(std::vector<Value>{sum(z, {1})}, std::vector<Value>{z}), Error);
  CHECK_THROWS_AS(jacobian_penalty({}, {}), Error);
  CHECK_THROWS_WITH_AS(jacobian_penalty({}, std::vector<Value>{z}), doctest::Contains("trace it for training"), Error);
  for (const auto& [y, state] : {std::pair{Value{}, z}, std::pair{z, Value{}}})
    CHECK_THROWS_WITH_AS(jacobian_penalty(std::vector{y}, std::vector{state}),
                         doctest::Contains("jacobian_penalty: an empty value"), Error);
  CHECK_THROWS_AS(jacobian_penalty(std::vector<Value>{z}, std::vector<Value>{z}, 0), Error);
}
