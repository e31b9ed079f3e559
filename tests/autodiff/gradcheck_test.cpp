#include "autodiff/gradcheck.h"

#include <doctest/doctest.h>

#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/reference/backend.h"
#include "tests/op_cases/op_cases.h"

using namespace deq;

namespace {

// Extrapolated differences are good to about 1e-10 here; a wrong rule is off by far more than 1e-6.
constexpr double kTolerance = 1e-6;

std::vector<std::string> differentiable_names(const op_cases::OpCase& op_case) {
  std::vector<std::string> names;
  for (const op_cases::CaseInput& input : op_case.inputs) {
    if (input.is_differentiable) names.push_back(input.name);
  }
  return names;
}

/// Every float output, statistics and probabilities included.
std::vector<Value> differentiable_outputs(const op_cases::BuiltCase& built) {
  std::vector<Value> outputs;
  for (const Value& output : built.outputs) {
    if (is_float(output.type().dtype)) outputs.push_back(output);
  }
  return outputs;
}

void expect_passes(const GradcheckReport& report) {
  INFO(report.worst);
  CHECK(report.checks > 0);
  CHECK(report.worst_error <= kTolerance);
}

}  // namespace

TEST_CASE("every operation of the grid has the derivative that differences find") {
  int checked = 0;
  for (const op_cases::OpCase& op_case : op_cases::all()) {
    if (!op_case.is_differentiable()) continue;
    CAPTURE(op_case.name);
    const op_cases::BuiltCase built = op_cases::build(op_case);
    expect_passes(
        gradcheck(differentiable_outputs(built), op_cases::bindings_of(op_case), differentiable_names(op_case)));
    ++checked;
  }
  CHECK(checked > 50);
}

// The cotangents c are variables too, so this covers the derivative of every backward operation in all its operands.
TEST_CASE("every derivative of the grid can be differentiated again") {
  for (const op_cases::OpCase& op_case : op_cases::all()) {
    if (!op_case.is_differentiable()) continue;
    CAPTURE(op_case.name);
    const op_cases::BuiltCase built = op_cases::build(op_case);
    Bindings bindings = op_cases::bindings_of(op_case);
    std::vector<std::string> names = differentiable_names(op_case);
    std::vector<Value> wrt, cotangents, first;
    for (const std::string& name : names) wrt.push_back(built.graph->find(name));
    const std::vector<Value> outputs = differentiable_outputs(built);
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      const op_cases::CaseInput c{.name = concat("c", k), .type = outputs[k].type()};
      cotangents.push_back(built.graph->input(c.name, c.type, Rate::batch));
      bindings[c.name] = op_cases::values_of(c, 7 + k);
      names.push_back(c.name);
    }
    for (const Value& value : vjp(outputs, cotangents, wrt)) {
      if (!value.is_empty()) first.push_back(value);
    }
    if (first.empty()) continue;
    expect_passes(gradcheck(first, bindings, names, {.elements_per_input = 4, .directions = 1, .seed = 3}));
  }
}

TEST_CASE("gradcheck fails where vjp and differences disagree") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {3}}, Rate::batch);
  const std::vector<std::string> names{"x"};
  const std::vector<Value> jump{unary(UnaryFn::sign, x)};
  const Bindings off_jump{{"x", Tensor::of<double>({3}, std::vector<double>{0.5, 0.1, -0.25})}};
  CHECK(gradcheck(jump, off_jump, names).worst_error <= kTolerance);

  // vjp says slope 0, differences see the jump.
  const Bindings on_jump{{"x", Tensor::of<double>({3}, std::vector<double>{0, 0, 0})}};
  CHECK(gradcheck(jump, on_jump, names).worst_error > 0.5);
}

TEST_CASE("ignored labels have zero gradient") {
  Graph graph;
  const Value logits = graph.input("logits", {DType::f32, {2, 3}}, Rate::batch);
  const Value labels = graph.input("labels", {DType::i32, {2}}, Rate::batch);
  const std::vector<Value> grad =
      gradients(sum(softmax_cross_entropy(logits, labels).loss), std::vector<Value>{logits});
  const Bindings bindings{{"logits", Tensor::of<double>({2, 3}, std::vector<double>{1, 2, 3, 1, 2, 3})},
                          {"labels", Tensor::of<std::int32_t>({2}, std::vector<std::int32_t>{-1, 2})}};
  ReferenceBackend backend;
  const Tensor value = interpret(graph, grad, bindings, backend).at(0);
  const auto g = value.data<double>();
  for (int k = 0; k < 3; ++k) CHECK(g[k] == 0);
  CHECK(g[5] < 0);
}

TEST_CASE("gradcheck refuses empty outputs and inputs without a value") {
  Graph graph;
  const std::vector<Value> y{square(graph.input("x", {DType::f32, {2}}, Rate::batch))};
  const std::vector<std::string> names{"x"};
  CHECK_THROWS_WITH_AS(gradcheck(std::vector{Value{}}, {}, names), doctest::Contains("gradcheck: an empty value"),
                       Error);
  CHECK_THROWS_WITH_AS(gradcheck(y, {}, names), doctest::Contains("input 'x'"), Error);
}
