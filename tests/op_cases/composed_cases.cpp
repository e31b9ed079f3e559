#include "core/builder.h"
#include "core/composed.h"
#include "core/einsum.h"
#include "tests/op_cases/families.h"

namespace deq::op_cases {
namespace {

struct Function {
  const char* name;
  Value (*apply)(Value x);
};

void add_of_one(Cases& cases) {
  const std::vector<Function> functions{{"silu", silu},
                                        {"softplus", softplus},
                                        {"clamp", [](Value x) { return clamp(x, -1.1, 0.7); }},
                                        {"1 - x", [](Value x) { return 1.0 - x; }},
                                        {"2 + x", [](Value x) { return 2.0 + x; }},
                                        {"x / 3", [](Value x) { return x / 3.0; }},
                                        {"3 / (x + 4)", [](Value x) { return 3.0 / (x + 4.0); }}};
  for (const Function& function : functions) {
    for (const Shape& shape : {Shape{}, Shape{7}, Shape{2, 3, 5}}) {
      cases.push_back({.name = concat("composed: ", function.name, " of ", shape),
                       .inputs = {variable("x", shape, -3, 3)},
                       .build = [apply = function.apply](Graph&, const Values& in) { return Values{apply(in[0])}; }});
    }
  }
}

/// softplus must be as smooth at 0, where its parts have a kink.
void add_softplus_at_zero(Cases& cases) {
  cases.push_back({.name = "composed: softplus of zeros",
                   .inputs = {variable("x", {3}, 0, 0)},
                   .build = [](Graph&, const Values& in) { return Values{softplus(in[0])}; }});
}

void add_of_two(Cases& cases) {
  const std::vector<std::pair<Shape, Shape>> shapes{{{7}, {7}}, {{2, 3, 5}, {3, 1}}, {{}, {4}}};
  for (const auto& [a, b] : shapes) {
    const std::vector<CaseInput> inputs{variable("a", a, -1, 1, Fill::distinct), variable("b", b, -0.9, 0.9)};
    cases.push_back({.name = concat("composed: maximum of ", a, " and ", b),
                     .inputs = inputs,
                     .build = [](Graph&, const Values& in) { return Values{maximum(in[0], in[1])}; }});
    cases.push_back({.name = concat("composed: minimum of ", a, " and ", b),
                     .inputs = inputs,
                     .build = [](Graph&, const Values& in) { return Values{minimum(in[0], in[1])}; }});
    cases.push_back({.name = concat("composed: where_positive of ", a, " and ", b),
                     .inputs = {fixed("x", {}, -1, 1), inputs[0], inputs[1]},
                     .build = [](Graph&, const Values& in) { return Values{where_positive(in[0], in[1], in[2])}; }});
  }
}

void add_softmax(Cases& cases) {
  for (const Shape& shape : {Shape{5}, Shape{3, 1}, Shape{2, 4}, Shape{2, 3, 5}, Shape{2, 1, 2, 10}}) {
    cases.push_back({.name = concat("composed: softmax of ", shape),
                     .inputs = {variable("x", shape, -3, 3)},
                     .build = [](Graph&, const Values& in) { return Values{softmax(in[0])}; }});
    cases.push_back({.name = concat("composed: log_softmax of ", shape),
                     .inputs = {variable("x", shape, -3, 3)},
                     .build = [](Graph&, const Values& in) { return Values{log_softmax(in[0])}; }});
  }
}

/// Reductions over leading, inner and last axes; rows whose length is no square.
void add_extremes(Cases& cases) {
  const std::vector<std::vector<int>> axes{{}, {0}, {1}, {2}, {0, 2}, {1, 2}};
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const CaseInput x = variable("x", {2, 3, 5}, -1, 1, Fill::distinct);
    cases.push_back({.name = concat("composed: max over axes ", i),
                     .inputs = {x},
                     .build = [over = axes[i]](Graph&, const Values& in) { return Values{max(in[0], over)}; }});
    cases.push_back({.name = concat("composed: min over axes ", i),
                     .inputs = {x},
                     .build = [over = axes[i]](Graph&, const Values& in) { return Values{min(in[0], over, true)}; }});
  }
}

void add_shapes(Cases& cases) {
  for (int axis = 0; axis < 3; ++axis) {
    cases.push_back({.name = concat("composed: cumsum along ", axis),
                     .inputs = {variable("x", {2, 7, 3})},
                     .build = [axis](Graph&, const Values& in) { return Values{cumsum(in[0], axis)}; }});
    cases.push_back({.name = concat("composed: stack along ", axis),
                     .inputs = {variable("a", {2, 3}), variable("b", {2, 3})},
                     .build = [axis](Graph&, const Values& in) { return Values{stack(in, axis)}; }});
    cases.push_back({.name = concat("composed: split along ", axis),
                     .inputs = {variable("x", {2, 4, 6})},
                     .build = [axis](Graph&, const Values& in) { return Values{split(in[0], axis, 2)}; }});
  }
}

/// One of both kinds of product, with and without axes to turn round, and a product of elements.
void add_einsum(Cases& cases) {
  struct Row {
    const char* formula;
    Shape a, b;
  };
  const std::vector<Row> rows{{"bihd,bjhd->bhij", {2, 3, 2, 4}, {2, 5, 2, 4}},
                              {"bij,jk->bik", {2, 3, 4}, {4, 5}},
                              {"ji,bjk->kb", {3, 2}, {4, 3, 5}},
                              {"bi,ib->ib", {2, 3}, {3, 2}}};
  for (const Row& row : rows)
    cases.push_back(
        {.name = concat("composed: einsum ", row.formula),
         .inputs = {variable("a", row.a), variable("b", row.b)},
         .build = [formula = row.formula](Graph&, const Values& in) { return Values{einsum(formula, in[0], in[1])}; }});
}

}  // namespace

void add_composed(Cases& cases) {
  add_of_one(cases);
  add_softplus_at_zero(cases);
  add_of_two(cases);
  add_softmax(cases);
  add_extremes(cases);
  add_shapes(cases);
  add_einsum(cases);
}

}  // namespace deq::op_cases
