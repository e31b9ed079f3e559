#include "core/builder.h"
#include "tests/op_cases/families.h"

namespace deq::op_cases {
namespace {

struct TransposeRow {
  Shape shape;
  std::vector<int> permutation;
};

void add_moves(Cases& cases) {
  const std::vector<std::pair<Shape, Shape>> reshapes{
      {{2, 3, 5, 4}, {2, 60}}, {{6}, {1, 2, 3}}, {{1}, {}}, {{3, 1, 7}, {7, 3}}};
  for (const auto& [from, to] : reshapes) {
    cases.push_back({.name = concat("reshape: ", from, " to ", to),
                     .inputs = {variable("x", from)},
                     .build = [to = to](Graph&, const Values& in) { return Values{reshape(in[0], to)}; }});
  }
  const std::vector<TransposeRow> transposes{{{3, 5}, {1, 0}},
                                             {{2, 3, 5, 4}, {0, 3, 1, 2}},
                                             {{2, 4, 3, 5}, {0, 2, 3, 1}},
                                             {{4, 3, 1, 2}, {3, 2, 1, 0}},
                                             {{2, 1, 7}, {1, 2, 0}},
                                             {{2, 3, 2, 2, 3}, {4, 0, 3, 1, 2}}};
  for (const TransposeRow& row : transposes) {
    std::string axes;
    for (const int axis : row.permutation) axes += std::to_string(axis);
    cases.push_back({.name = concat("transpose: ", row.shape, " by ", axes),
                     .inputs = {variable("x", row.shape)},
                     .build = [p = row.permutation](Graph&, const Values& in) { return Values{transpose(in[0], p)}; }});
  }
}

void add_concat(Cases& cases) {
  const std::vector<std::pair<Shape, int>> rows{{{2, 3, 5}, 0}, {{2, 3, 5}, 1}, {{2, 3, 5}, 2}, {{1}, 0}};
  for (const auto& [shape, axis] : rows) {
    const Shape second = shape.with(axis, 4), third = shape.with(axis, 1);
    cases.push_back({.name = concat("concat: three parts of ", shape, " along ", axis),
                     .inputs = {variable("a", shape), variable("b", second), variable("c", third)},
                     .build = [axis = axis](Graph&, const Values& in) { return Values{concat(in, axis)}; }});
  }
  cases.push_back(
      {.name = "concat: the same part twice", .inputs = {variable("a", {3, 2})}, .build = [](Graph&, const Values& in) {
         return Values{concat({in[0], in[0]}, 1)};
       }});
}

struct RangeRow {
  Shape shape;
  int axis;
  std::int64_t begin, end;
};

void add_ranges(Cases& cases) {
  const std::vector<RangeRow> rows{{{5, 3, 2}, 0, 1, 4}, {{5, 3, 2}, 1, 0, 2},    {{2, 3, 7}, 2, 6, 7},
                                   {{9}, 0, 0, 9},       {{2, 5, 4, 3}, 1, 2, 4}, {{1, 1}, 1, 0, 1}};
  for (const RangeRow& row : rows) {
    cases.push_back(
        {.name = concat("slice: ", row.shape, " axis ", row.axis, " from ", row.begin, " to ", row.end),
         .inputs = {variable("x", row.shape)},
         .build = [row](Graph&, const Values& in) { return Values{slice(in[0], row.axis, row.begin, row.end)}; }});
    cases.push_back(
        {.name = concat("pad: ", row.shape, " axis ", row.axis, " by ", row.begin, " and ", row.end),
         .inputs = {variable("x", row.shape)},
         .build = [row](Graph&, const Values& in) { return Values{pad(in[0], row.axis, row.begin, row.end)}; }});
  }
}

struct SumRow {
  Shape shape;
  std::vector<int> axes;
};

void add_reductions(Cases& cases) {
  const std::vector<std::pair<Shape, Shape>> broadcasts{
      {{}, {3, 2}},     {{5}, {2, 3, 5}},    {{2, 1, 1, 3}, {2, 4, 5, 3}},
      {{1, 7}, {3, 7}}, {{3, 1}, {2, 3, 1}}, {{1}, {1, 1}}};
  for (const auto& [from, to] : broadcasts) {
    cases.push_back({.name = concat("broadcast_to: ", from, " to ", to),
                     .inputs = {variable("x", from)},
                     .build = [to = to](Graph&, const Values& in) { return Values{broadcast_to(in[0], to)}; }});
  }
  const std::vector<SumRow> sums{{{7}, {0}},          {{3, 5}, {0}},          {{3, 5}, {1}},
                                 {{3, 5}, {0, 1}},    {{2, 3, 5, 4}, {1, 2}}, {{2, 3, 5, 4}, {0, 1, 2}},
                                 {{2, 3, 5, 4}, {3}}, {{2, 3, 5, 4}, {0, 3}}, {{2, 1, 33}, {1}},
                                 {{1}, {0}},          {{4, 3, 2}, {1}}};
  for (const SumRow& row : sums) {
    for (const bool keep_dims : {false, true}) {
      std::string axes;
      for (const int axis : row.axes) axes += std::to_string(axis);
      cases.push_back(
          {.name = concat("sum: ", row.shape, " over ", axes, keep_dims ? " kept" : ""),
           .inputs = {variable("x", row.shape)},
           .build = [row, keep_dims](Graph&, const Values& in) { return Values{sum(in[0], row.axes, keep_dims)}; }});
    }
  }
}

}  // namespace

void add_shape(Cases& cases) {
  add_moves(cases);
  add_concat(cases);
  add_ranges(cases);
  add_reductions(cases);
}

}  // namespace deq::op_cases
