#include "core/builder.h"
#include "tests/op_cases/families.h"

namespace deq::op_cases {
namespace {

struct MatMulRow {
  std::vector<std::int64_t> lead;
  std::int64_t m, k, n;
};

Shape matrix(std::vector<std::int64_t> lead, std::int64_t rows, std::int64_t columns) {
  lead.insert(lead.end(), {rows, columns});
  return Shape(lead);
}

void add_matmul(Cases& cases) {
  const std::vector<MatMulRow> rows{{{}, 3, 5, 4}, {{}, 1, 7, 1}, {{}, 9, 1, 17}, {{3}, 2, 3, 5}, {{2, 3}, 3, 2, 1}};
  for (const MatMulRow& row : rows) {
    for (int flags = 0; flags < 4; ++flags) {
      const bool ta = (flags & 1) != 0, tb = (flags & 2) != 0;
      const Shape a = ta ? matrix(row.lead, row.k, row.m) : matrix(row.lead, row.m, row.k);
      const Shape b = tb ? matrix(row.lead, row.n, row.k) : matrix(row.lead, row.k, row.n);
      cases.push_back({.name = concat("matmul: ", a, ta ? "^T" : "", " by ", b, tb ? "^T" : ""),
                       .inputs = {variable("a", a), variable("b", b)},
                       .build = [ta, tb](Graph&, const Values& in) { return Values{matmul(in[0], in[1], ta, tb)}; }});
    }
  }
}

/// One matrix for all leading axes.
void add_shared_matmul(Cases& cases) {
  for (const std::vector<std::int64_t>& lead : {std::vector<std::int64_t>{3}, std::vector<std::int64_t>{2, 4}}) {
    for (int flags = 0; flags < 4; ++flags) {
      const bool ta = (flags & 1) != 0, tb = (flags & 2) != 0;
      const Shape a = ta ? matrix(lead, 5, 3) : matrix(lead, 3, 5);
      const Shape b = tb ? Shape{4, 5} : Shape{5, 4};
      cases.push_back({.name = concat("matmul: ", a, ta ? "^T" : "", " by one ", b, tb ? "^T" : ""),
                       .inputs = {variable("a", a), variable("b", b)},
                       .build = [ta, tb](Graph&, const Values& in) { return Values{matmul(in[0], in[1], ta, tb)}; }});
    }
  }
}

struct ConvRow {
  std::int64_t batch, height, width, in, out, kernel_h, kernel_w;
  Conv2d conv;

  [[nodiscard]] Shape x() const { return {batch, height, width, in}; }
  [[nodiscard]] Shape w() const { return {out, in / conv.groups, kernel_h, kernel_w}; }
  [[nodiscard]] Shape y() const {
    return {batch, (height + 2 * conv.pad - kernel_h) / conv.stride + 1,
            (width + 2 * conv.pad - kernel_w) / conv.stride + 1, out};
  }
};

std::string describe(const ConvRow& row) {
  return concat(row.x(), " by ", row.w(), " stride ", row.conv.stride, " pad ", row.conv.pad, " groups ",
                row.conv.groups);
}

const std::vector<ConvRow> kConvs{
    {2, 5, 4, 3, 4, 3, 3, {.stride = 1, .pad = 1}},               // the usual one, not square
    {1, 6, 5, 2, 3, 3, 3, {.stride = 2, .pad = 1}},               // stride that leaves a row over
    {2, 7, 7, 2, 2, 3, 3, {.stride = 2, .pad = 1}},               // odd size halved
    {2, 4, 4, 3, 5, 1, 1, {}},                                    // pointwise
    {1, 5, 4, 3, 2, 1, 1, {.stride = 2}},                         // pointwise, strided
    {1, 7, 6, 2, 3, 5, 5, {.stride = 1, .pad = 2}},               // large kernel
    {1, 6, 8, 1, 2, 5, 5, {.stride = 3}},                         // no padding, stride above 2
    {2, 5, 5, 4, 6, 3, 3, {.stride = 1, .pad = 1, .groups = 2}},  // grouped
    {2, 4, 5, 3, 3, 3, 3, {.stride = 1, .pad = 1, .groups = 3}},  // depthwise
    {1, 5, 5, 2, 4, 3, 3, {.stride = 2, .pad = 1, .groups = 2}},  // depthwise with a multiplier, strided
    {1, 3, 3, 2, 3, 3, 3, {}},                                    // one output pixel
    {1, 1, 1, 3, 2, 3, 3, {.stride = 1, .pad = 1}},               // one input pixel
    {1, 1, 1, 1, 1, 1, 1, {}},                                    // one of everything
    {3, 1, 6, 2, 2, 1, 3, {}},                                    // a row: kernel not square
    {1, 6, 4, 2, 2, 3, 1, {.stride = 2}},                         // a column kernel, strided
    {1, 4, 3, 17, 9, 3, 3, {.stride = 1, .pad = 1}},              // channels that fill no vector register
};

void add_conv(Cases& cases) {
  for (const ConvRow& row : kConvs) {
    cases.push_back({.name = concat("conv2d: ", describe(row)),
                     .inputs = {variable("x", row.x()), variable("w", row.w())},
                     .build = [row](Graph&, const Values& in) { return Values{conv2d(in[0], in[1], row.conv)}; }});
    cases.push_back({.name = concat("conv2d_input_grad: ", describe(row)),
                     .inputs = {variable("g", row.y()), variable("w", row.w())},
                     .build = [row](Graph&, const Values& in) {
                       return Values{conv2d_input_grad(in[0], in[1], row.conv, row.height, row.width)};
                     }});
    cases.push_back({.name = concat("conv2d_weight_grad: ", describe(row)),
                     .inputs = {variable("x", row.x()), variable("g", row.y())},
                     .build = [row](Graph&, const Values& in) {
                       return Values{conv2d_weight_grad(in[0], in[1], row.conv, row.kernel_h, row.kernel_w)};
                     }});
  }
}

}  // namespace

void add_linear(Cases& cases) {
  add_matmul(cases);
  add_shared_matmul(cases);
  add_conv(cases);
}

}  // namespace deq::op_cases
