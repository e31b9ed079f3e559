#include "core/builder.h"
#include "tests/op_cases/families.h"

namespace deq::op_cases {
namespace {

void add_lookup(Cases& cases) {
  const std::vector<std::pair<Shape, Shape>> rows{{{5, 3}, {4}}, {{1, 1}, {2}}, {{7, 16}, {2, 3}}, {{4, 5}, {}}};
  for (const auto& [table, index] : rows) {
    const auto rows_of_index = integers("index", index, 0, static_cast<double>(table[0]));
    std::vector<std::int64_t> g(index.extents().begin(), index.extents().end());
    g.push_back(table[1]);
    cases.push_back({.name = concat("gather: ", index, " of ", table),
                     .inputs = {variable("table", table), rows_of_index},
                     .build = [](Graph&, const Values& in) { return Values{gather(in[0], in[1])}; }});
    cases.push_back(
        {.name = concat("gather_grad: ", index, " of ", table),
         .inputs = {variable("g", Shape(g)), rows_of_index},
         .build = [rows = table[0]](Graph&, const Values& in) { return Values{scatter_add(in[0], in[1], rows)}; }});
  }
  const CaseInput outside = integers("index", {3, 4}, -3, 8);
  cases.push_back({.name = "gather: indices outside",
                   .inputs = {variable("table", {5, 3}), outside},
                   .build = [](Graph&, const Values& in) { return Values{gather(in[0], in[1])}; }});
  cases.push_back({.name = "gather_grad: indices outside",
                   .inputs = {variable("g", {3, 4, 3}), outside},
                   .build = [](Graph&, const Values& in) { return Values{scatter_add(in[0], in[1], 5)}; }});
  for (const Shape& shape : {Shape{6}, Shape{2, 3}, Shape{1}}) {
    cases.push_back({.name = concat("one_hot: ", shape, " with indices outside"),
                     .inputs = {integers("index", shape, -1, 6)},
                     .build = [](Graph&, const Values& in) { return Values{one_hot(in[0], 5)}; },
                     .differentiable_outputs = 0});
  }
}

void add_cross_entropy(Cases& cases) {
  for (const Shape& logits : {Shape{3, 5}, Shape{1, 1}, Shape{7, 2}, Shape{4, 17}}) {
    for (const bool has_ignored : {false, true}) {
      const double low = has_ignored ? -3 : 0;
      cases.push_back({.name = concat("softmax_cross_entropy: ", logits, has_ignored ? " with ignored labels" : ""),
                       .inputs = {variable("logits", logits, -3, 3),
                                  integers("labels", {logits[0]}, low, static_cast<double>(logits[1]))},
                       .build =
                           [](Graph&, const Values& in) {
                             const CrossEntropyValues out = softmax_cross_entropy(in[0], in[1]);
                             return Values{out.loss, out.probability};
                           },
                       .differentiable_outputs = 2});
    }
  }
}

/// Logits with further axes, one label for each row.
void add_cross_entropy_of_sequences(Cases& cases) {
  for (const Shape& labels : {Shape{2, 3}, Shape{3, 1, 2}}) {
    std::vector<std::int64_t> extents;
    for (int axis = 0; axis < labels.rank(); ++axis) extents.push_back(labels[axis]);
    extents.push_back(5);
    cases.push_back({.name = concat("softmax_cross_entropy: sequences ", labels),
                     .inputs = {variable("logits", Shape(extents), -3, 3), integers("labels", labels, -1, 5)},
                     .build =
                         [](Graph&, const Values& in) {
                           const CrossEntropyValues out = softmax_cross_entropy(in[0], in[1]);
                           return Values{out.loss, out.probability};
                         },
                     .differentiable_outputs = 2});
  }
}

void add_optimizers(Cases& cases) {
  for (const Shape& shape : {Shape{3, 5}, Shape{1}, Shape{33}, Shape{2, 3, 3, 3}}) {
    const std::vector<CaseInput> sgd_inputs{fixed("param", shape), fixed("grad", shape), fixed("momentum", shape),
                                            fixed("lr", {}, 0.01, 0.1)};
    for (const SgdUpdate& op : {SgdUpdate{}, SgdUpdate{0.8, 0.01, true}, SgdUpdate{0, 0.1, false}}) {
      cases.push_back({.name = concat("sgd_update: ", shape, " momentum ", op.momentum, op.nesterov ? " nesterov" : ""),
                       .inputs = sgd_inputs,
                       .build = [op](Graph& graph, const Values& in) { return graph.add(op, in); },
                       .differentiable_outputs = 0});
    }
    const std::vector<CaseInput> adam_inputs{fixed("param", shape),      fixed("grad", shape),
                                             fixed("m", shape),          fixed("v", shape, 0.01, 1),
                                             fixed("lr", {}, 0.01, 0.1), fixed("t", {}, 3, 3)};
    for (const AdamUpdate& op :
         {AdamUpdate{}, AdamUpdate{.weight_decay = 0.1}, AdamUpdate{.weight_decay = 0.1, .decoupled = true}}) {
      cases.push_back(
          {.name = concat("adam_update: ", shape, " decay ", op.weight_decay, op.decoupled ? " decoupled" : ""),
           .inputs = adam_inputs,
           .build = [op](Graph& graph, const Values& in) { return graph.add(op, in); },
           .differentiable_outputs = 0});
    }
  }
}

}  // namespace

void add_training(Cases& cases) {
  add_lookup(cases);
  add_cross_entropy(cases);
  add_cross_entropy_of_sequences(cases);
  add_optimizers(cases);
}

}  // namespace deq::op_cases
