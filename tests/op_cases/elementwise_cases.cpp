#include "core/builder.h"
#include "tests/op_cases/families.h"

namespace deq::op_cases {
namespace {

struct UnaryRow {
  UnaryFn fn;
  const char* name;
  double low, high;
  Fill fill;
};

/// Shapes with a scalar, a single element, and lengths on both sides of a vector register.
const std::vector<Shape> kUnaryShapes{{}, {1}, {7}, {2, 3, 5, 4}, {1, 33}};

void add_unary(Cases& cases) {
  const std::vector<UnaryRow> rows{
      {UnaryFn::relu, "relu", -2, 2, Fill::off_zero},
      {UnaryFn::gelu, "gelu", -3, 3, Fill::uniform},
      {UnaryFn::gelu_derivative, "gelu_derivative", -3, 3, Fill::uniform},
      {UnaryFn::tanh, "tanh", -2, 2, Fill::uniform},
      {UnaryFn::sigmoid, "sigmoid", -4, 4, Fill::uniform},
      {UnaryFn::exp, "exp", -2, 2, Fill::uniform},
      {UnaryFn::log, "log", 0.5, 3, Fill::uniform},
      {UnaryFn::sqrt, "sqrt", 0.5, 3, Fill::uniform},
      {UnaryFn::reciprocal, "reciprocal", 0.5, 3, Fill::uniform},
      {UnaryFn::abs, "abs", -2, 2, Fill::off_zero},
      {UnaryFn::sign, "sign", -2, 2, Fill::off_zero},
      {UnaryFn::sin, "sin", -9, 9, Fill::uniform},
      {UnaryFn::cos, "cos", -9, 9, Fill::uniform},
  };
  for (const UnaryRow& row : rows) {
    for (const Shape& shape : kUnaryShapes) {
      cases.push_back({.name = concat("unary ", row.name, ": ", shape),
                       .inputs = {variable("x", shape, row.low, row.high, row.fill)},
                       .build = [fn = row.fn](Graph&, const Values& in) { return Values{unary(fn, in[0])}; }});
    }
  }
}

struct BinaryRow {
  BinaryFn fn;
  const char* name;
  double low, high;
  Fill fill;
};

struct BroadcastRow {
  const char* name;
  Shape a, b;
};

void add_binary(Cases& cases) {
  const std::vector<BinaryRow> rows{
      {BinaryFn::add, "add", -1, 1, Fill::uniform},
      {BinaryFn::sub, "sub", -1, 1, Fill::uniform},
      {BinaryFn::mul, "mul", -1, 1, Fill::uniform},
      {BinaryFn::div, "div", 0.5, 2, Fill::uniform},
      {BinaryFn::relu_grad, "relu_grad", -1, 1, Fill::off_zero},
  };
  const std::vector<BroadcastRow> patterns{
      {"equal shapes", {2, 3, 5, 4}, {2, 3, 5, 4}}, {"channels on the right", {2, 3, 2, 5}, {5}},
      {"channels on the left", {5}, {2, 3, 2, 5}},  {"scalar on the right", {3, 7}, {}},
      {"scalar on the left", {}, {3, 7}},           {"one element on the right", {3, 7}, {1}},
      {"sample mask", {3, 2, 4, 5}, {3, 1, 1, 5}},  {"column", {3, 7}, {3, 1}},
      {"row and column", {1, 7}, {3, 1}},           {"inner axis", {2, 4, 3}, {2, 1, 3}},
      {"middle axis", {2, 4, 3}, {4, 1}},           {"scalars", {}, {}},
  };
  for (const BinaryRow& row : rows) {
    for (const BroadcastRow& pattern : patterns) {
      cases.push_back({.name = concat("binary ", row.name, ": ", pattern.name),
                       .inputs = {variable("a", pattern.a, row.low, row.high, row.fill),
                                  variable("b", pattern.b, row.low, row.high, row.fill)},
                       .build = [fn = row.fn](Graph& graph, const Values& in) {
                         return Values{graph.add_one(Binary{fn}, {in[0], in[1]})};
                       }});
    }
    cases.push_back({.name = concat("binary ", row.name, ": the same operand twice"),
                     .inputs = {variable("a", {3, 5}, row.low, row.high, row.fill)},
                     .build = [fn = row.fn](Graph& graph, const Values& in) {
                       return Values{graph.add_one(Binary{fn}, {in[0], in[0]})};
                     }});
  }
}

}  // namespace

void add_elementwise(Cases& cases) {
  add_unary(cases);
  add_binary(cases);
  for (const Shape& shape : kUnaryShapes) {
    cases.push_back({.name = concat("affine: ", shape),
                     .inputs = {variable("x", shape)},
                     .build = [](Graph&, const Values& in) { return Values{affine(in[0], -1.5, 0.25)}; }});
    cases.push_back({.name = concat("copy: ", shape),
                     .inputs = {variable("x", shape)},
                     .build = [](Graph&, const Values& in) { return Values{copy(in[0])}; }});
  }
  cases.push_back({.name = "copy: integers",
                   .inputs = {integers("x", {3, 5}, -9, 9)},
                   .build = [](Graph&, const Values& in) { return Values{copy(in[0])}; },
                   .differentiable_outputs = 0});
}

void add_source(Cases& cases) {
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{3, 5, 1, 7}}) {
    cases.push_back({.name = concat("constant: ", shape),
                     .inputs = {},
                     .build = [shape](Graph& graph, const Values&) { return Values{constant(graph, -0.75, shape)}; },
                     .differentiable_outputs = 0});
    for (const double p : {0.0, 0.25, 0.9}) {
      cases.push_back({.name = concat("random bernoulli: p ", p, " ", shape),
                       .inputs = {{"seed", {DType::i64, {2}}, false, -1e6, 1e6, Fill::uniform}},
                       .build =
                           [shape, p](Graph& graph, const Values& in) {
                             return Values{graph.add_one(Random{Distribution::bernoulli, p, 3, shape}, {in[0]})};
                           },
                       .differentiable_outputs = 0});
    }
    cases.push_back({.name = concat("random normal: ", shape),
                     .inputs = {{"seed", {DType::i64, {2}}, false, -1e6, 1e6, Fill::uniform}},
                     .build =
                         [shape](Graph& graph, const Values& in) {
                           return Values{graph.add_one(Random{Distribution::normal, 0, 4, shape}, {in[0]})};
                         },
                     .differentiable_outputs = 0});
  }
}

}  // namespace deq::op_cases
