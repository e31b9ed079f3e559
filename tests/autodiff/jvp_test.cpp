#include "autodiff/jvp.h"

#include <doctest/doctest.h>

#include "autodiff/gradcheck.h"
#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/reference/backend.h"
#include "tests/op_cases/op_cases.h"

using namespace deq;

namespace {

Value bound_input(Graph& graph, Bindings& bindings, const std::string& name, Shape shape) {
  const op_cases::CaseInput input{.name = name, .type = {DType::f32, shape}, .fill = op_cases::Fill::off_zero};
  bindings[name] = op_cases::values_of(input, 11 + bindings.size());
  return graph.input(name, input.type, Rate::batch);
}

/// z -> norm(z + tanh(conv(z) + x)): what the cell of a convolutional equilibrium holds.
struct Block {
  Graph graph;
  Bindings bindings;
  Value z, x, y, v, w;

  Block() {
    z = bound_input(graph, bindings, "z", {2, 3, 4, 4});
    x = bound_input(graph, bindings, "x", {2, 3, 4, 4});
    const Value weight = bound_input(graph, bindings, "weight", {4, 4, 3, 3});
    y = group_norm(z + deq::tanh(conv2d(z, weight, {.pad = 1}) + x), 2, 1e-5).y;
    v = bound_input(graph, bindings, "v", z.shape());
    w = bound_input(graph, bindings, "w", y.shape());
  }
};

}  // namespace

TEST_CASE("J v and J^T w are adjoint to each other") {
  Block block;
  const std::vector<Value> y{block.y}, z{block.z}, v{block.v}, w{block.w};
  const Value forward = sum(jvp(y, z, v)[0] * block.w);
  const Value backward = sum(vjp(y, w, z)[0] * block.v);
  ReferenceBackend backend;
  const std::vector<Value> wanted{forward, backward};
  const std::vector<Tensor> values = interpret(block.graph, wanted, block.bindings, backend);
  CHECK(values[0].data<double>()[0] == doctest::Approx(values[1].data<double>()[0]).epsilon(1e-12));
}

TEST_CASE("J v is the change of y along v") {
  Block block;
  const std::vector<Value> y{block.y}, z{block.z, block.x}, v{block.v, Value{}};
  const std::vector<Value> product = jvp(y, z, v);  // an empty tangent: x stands still
  ReferenceBackend backend;
  constexpr double kStep = 1e-5;
  std::vector<double> ends;
  for (const double sign : {-1.0, 1.0}) {
    Bindings moved = block.bindings;
    auto values = moved["z"].data<double>();
    const auto along = block.bindings["v"].data<double>();
    Tensor copy(DType::f64, moved["z"].shape());
    for (std::size_t i = 0; i < values.size(); ++i) copy.data<double>()[i] = values[i] + sign * kStep * along[i];
    moved["z"] = copy;
    const std::vector<Value> wanted{sum(block.y * block.w)};
    ends.push_back(interpret(block.graph, wanted, moved, backend)[0].data<double>()[0]);
  }
  const std::vector<Value> wanted{sum(product[0] * block.w)};
  const double found = interpret(block.graph, wanted, block.bindings, backend)[0].data<double>()[0];
  // A central difference at 1e-5 is good to about 1e-9.
  CHECK(found == doctest::Approx((ends[1] - ends[0]) / (2.0 * kStep)).epsilon(1e-6));
}

TEST_CASE("J v has a derivative of its own") {
  Block block;
  const std::vector<Value> y{block.y}, z{block.z}, v{block.v};
  const std::vector<Value> out{sum(square(jvp(y, z, v)[0]))};
  const GradcheckReport report = gradcheck(out, block.bindings, std::vector<std::string>{"z", "x", "weight", "v"},
                                           {.elements_per_input = 6, .directions = 1, .step = 1e-3});
  INFO(report.worst);
  CHECK(report.worst_error <= 1e-6);
}

TEST_CASE("a tangent that is not typed like its variable is refused") {
  Block block;
  const std::vector<Value> y{block.y}, z{block.z}, v{sum(block.v)};
  CHECK_THROWS_AS(jvp(y, z, v), Error);
}

TEST_CASE("an output that is empty or of another graph is refused") {
  Block block;
  Graph other;
  const std::vector<Value> z{block.z}, v{block.v};
  const std::vector<Value> foreign{block.y, other.input("y", block.y.type(), Rate::batch)};
  CHECK_THROWS_WITH_AS(jvp(std::vector{Value{}}, z, v), doctest::Contains("jvp: an empty value"), Error);
  CHECK_THROWS_WITH_AS(jvp(std::vector{block.y, Value{}}, z, v), doctest::Contains("jvp: an empty value"), Error);
  CHECK_THROWS_WITH_AS(jvp(foreign, z, v), doctest::Contains("output 1 belongs to another graph"), Error);
  CHECK_THROWS_WITH_AS(jvp(std::vector{block.y}, std::vector{Value{}}, v), doctest::Contains("vjp: an empty value"),
                       Error);
}
