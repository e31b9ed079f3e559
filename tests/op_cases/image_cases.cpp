#include "core/builder.h"
#include "tests/op_cases/families.h"

namespace deq::op_cases {
namespace {

struct ResizeRow {
  Shape x;
  std::int64_t height, width;
};

struct PoolRow {
  Shape x;
  int kernel, stride, pad;

  [[nodiscard]] Shape y() const {
    return x.with(1, (x[1] + 2 * pad - kernel) / stride + 1).with(2, (x[2] + 2 * pad - kernel) / stride + 1);
  }
};

const std::vector<PoolRow> kPools{
    {{2, 4, 6, 3}, 2, 2, 0},   // exact cover
    {{1, 5, 7, 2}, 2, 2, 0},   // a row and a column left over
    {{2, 5, 4, 3}, 3, 2, 1},   // overlap and padding
    {{1, 6, 5, 1}, 3, 1, 1},   // heavy overlap
    {{1, 7, 7, 5}, 3, 3, 0},   // odd
    {{2, 4, 3, 2}, 1, 2, 0},   // subsampling
    {{1, 1, 1, 4}, 1, 1, 0},   // one pixel
    {{1, 4, 4, 17}, 4, 4, 0},  // whole image
    {{1, 7, 5, 2}, 5, 2, 2},   // wide window
};

std::string describe(const PoolRow& row) {
  return concat(row.x, " kernel ", row.kernel, " stride ", row.stride, " pad ", row.pad);
}

void add_avg_pool(Cases& cases, const PoolRow& row) {
  const AvgPool pool{row.kernel, row.stride, row.pad};
  cases.push_back({.name = concat("avg_pool: ", describe(row)),
                   .inputs = {variable("x", row.x)},
                   .build = [pool](Graph&, const Values& in) { return Values{avg_pool(in[0], pool)}; }});
  cases.push_back({.name = concat("avg_pool_grad: ", describe(row)),
                   .inputs = {variable("g", row.y())},
                   .build = [pool, row](Graph& graph, const Values& in) {
                     return Values{graph.add_one(AvgPoolGrad{pool, row.x[1], row.x[2]}, {in[0]})};
                   }});
}

void add_max_pool(Cases& cases, const PoolRow& row) {
  const MaxPool pool{row.kernel, row.stride, row.pad};
  cases.push_back({.name = concat("max_pool: ", describe(row)),
                   .inputs = {variable("x", row.x, -2, 2, Fill::distinct)},
                   .build = [pool](Graph& graph, const Values& in) { return graph.add(pool, in); }});
  // Arbitrary winners: some pixels win several times, most never.
  const auto winners = integers("winner", row.y(), 0, static_cast<double>(row.x[1] * row.x[2]));
  cases.push_back({.name = concat("winner_gather: ", describe(row)),
                   .inputs = {variable("x", row.x), winners},
                   .build = [](Graph& graph, const Values& in) { return graph.add(WinnerGather{}, in); }});
  cases.push_back({.name = concat("winner_scatter: ", describe(row)),
                   .inputs = {variable("g", row.y()), winners},
                   .build = [row](Graph& graph, const Values& in) {
                     return graph.add(WinnerScatter{row.x[1], row.x[2]}, in);
                   }});
}

void add_one_resize(Cases& cases, const ResizeRow& row, ResizeMode mode, bool align_corners) {
  const std::string what =
      concat(row.x, " to ", row.height, "x", row.width, mode == ResizeMode::nearest ? " nearest" : " bilinear",
             align_corners ? " aligned" : "");
  const Resize resize_op{mode, row.height, row.width, align_corners};
  cases.push_back({.name = concat("resize: ", what),
                   .inputs = {variable("x", row.x)},
                   .build = [resize_op](Graph&, const Values& in) { return Values{resize(in[0], resize_op)}; }});
  const ResizeGrad grad_op{mode, row.x[1], row.x[2], align_corners};
  cases.push_back(
      {.name = concat("resize_grad: ", what),
       .inputs = {variable("g", row.x.with(1, row.height).with(2, row.width))},
       .build = [grad_op](Graph& graph, const Values& in) { return Values{graph.add_one(grad_op, {in[0]})}; }});
}

/// Images of these sizes, in a sum of one size.
void add_upsample_sum(Cases& cases, const std::vector<Shape>& shapes, std::int64_t height, std::int64_t width) {
  for (const bool post_relu : {false, true}) {
    std::vector<CaseInput> inputs;
    for (const Shape& shape : shapes) inputs.push_back(fixed(concat("x", inputs.size()), shape));
    const UpsampleSum op{height, width, post_relu};
    cases.push_back({.name = concat("upsample_sum: ", shapes.size(), " of ", shapes[0], post_relu ? " relu" : ""),
                     .inputs = inputs,
                     .build = [op](Graph& graph, const Values& in) { return graph.add(op, in); },
                     .differentiable_outputs = 0});
  }
}

}  // namespace

void add_resize(Cases& cases) {
  add_upsample_sum(cases, {{2, 4, 6, 8}, {2, 2, 3, 8}}, 4, 6);
  add_upsample_sum(cases, {{2, 2, 1, 3}, {2, 4, 6, 3}, {2, 1, 3, 3}, {2, 4, 6, 3}}, 4, 6);
  add_upsample_sum(cases, {{1, 5, 7, 4}}, 5, 7);
  const std::vector<ResizeRow> rows{{{2, 3, 2, 5}, 6, 4}, {{1, 4, 4, 3}, 16, 16}, {{2, 5, 6, 1}, 3, 4},
                                    {{1, 3, 5, 2}, 7, 8}, {{1, 1, 1, 3}, 4, 3},   {{1, 4, 7, 2}, 1, 1},
                                    {{2, 3, 4, 2}, 3, 4}};
  for (const ResizeRow& row : rows) {
    add_one_resize(cases, row, ResizeMode::nearest, false);
    add_one_resize(cases, row, ResizeMode::bilinear, false);
    add_one_resize(cases, row, ResizeMode::bilinear, true);
  }
}

void add_pool(Cases& cases) {
  for (const PoolRow& row : kPools) {
    add_avg_pool(cases, row);
    add_max_pool(cases, row);
  }
}

}  // namespace deq::op_cases
