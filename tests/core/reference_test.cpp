#include <doctest/doctest.h>

#include <cmath>

#include "core/builder.h"
#include "tests/core/run_op.h"
#include "tests/op_cases/op_cases.h"

using namespace deq;
using doctest::Approx;

namespace {

using Doubles = std::vector<double>;

Tensor random_tensor(const std::string& name, const Shape& shape) {
  return op_cases::values_of({name, {DType::f32, shape}, false, -1, 1, op_cases::Fill::uniform}, 7);
}

/// Double arithmetic over at most a few hundred terms of size 1.
constexpr double kRounding = 1e-12;

void check_close(const Tensor& found, const Doubles& expected) {
  const auto values = found.data<double>();
  REQUIRE(values.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(values[i] - expected[i]) <= kRounding * (1 + std::abs(expected[i])));
  }
}

}  // namespace

TEST_CASE("a convolution is the cross-correlation worked out by hand") {
  const Tensor x = counting({1, 3, 3, 1});
  const Tensor w = Tensor::of<double>({1, 1, 2, 2}, {1, 2, 3, 4});
  // Top left: 1*1 + 2*2 + 4*3 + 5*4 = 37; one step right adds 1 + 2 + 3 + 4, one step down three times that.
  check_close(run_op(Conv2d{}, {x, w})[0], {37, 47, 67, 77});
}

TEST_CASE("padding counts as zeros and the stride skips positions") {
  const Tensor x = counting({1, 3, 3, 1});
  const Tensor w = Tensor::of<double>({1, 1, 3, 3}, Doubles(9, 1.0));
  // Sums of the 3x3 neighbourhoods at the four corners.
  check_close(run_op(Conv2d{.stride = 2, .pad = 1}, {x, w})[0], {12, 16, 24, 28});
}

TEST_CASE("groups see only their own channels") {
  const Tensor x = Tensor::of<double>({1, 1, 2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  const Tensor w = Tensor::of<double>({2, 2, 1, 1}, {1, 10, 100, 1000});
  check_close(run_op(Conv2d{.groups = 2}, {x, w})[0], {21, 4300, 65, 8700});
}

TEST_CASE("the gradients of a convolution are its transposes") {
  struct Row {
    Shape x, w;
    Conv2d conv;
  };
  const std::vector<Row> rows{{{2, 5, 4, 3}, {4, 3, 3, 3}, {.stride = 1, .pad = 1}},
                              {{1, 6, 5, 4}, {6, 2, 3, 3}, {.stride = 2, .pad = 1, .groups = 2}},
                              {{2, 7, 6, 2}, {3, 2, 5, 1}, {.stride = 3, .pad = 2}}};
  for (const Row& row : rows) {
    CAPTURE(row.x);
    const Tensor x = random_tensor("x", row.x), w = random_tensor("w", row.w);
    const Tensor y = run_op(row.conv, {x, w})[0];
    const Tensor g = random_tensor("g", y.shape());
    const Tensor dx = run_op(Conv2dInputGrad{row.conv, row.x[1], row.x[2]}, {g, w})[0];
    const Tensor dw = run_op(Conv2dWeightGrad{row.conv, row.w[2], row.w[3]}, {x, g})[0];
    const double expected = inner_product(y, g);
    CHECK(inner_product(x, dx) == Approx(expected).epsilon(kRounding));
    CHECK(inner_product(w, dw) == Approx(expected).epsilon(kRounding));
  }
}

TEST_CASE("a matrix product follows the transposition flags") {
  const Tensor a = counting({2, 3}), a_t = Tensor::of<double>({3, 2}, {1, 4, 2, 5, 3, 6});
  const Tensor b = counting({3, 2}), b_t = Tensor::of<double>({2, 3}, {1, 3, 5, 2, 4, 6});
  const Doubles expected{22, 28, 49, 64};
  check_close(run_op(MatMul{}, {a, b})[0], expected);
  check_close(run_op(MatMul{true, false}, {a_t, b})[0], expected);
  check_close(run_op(MatMul{false, true}, {a, b_t})[0], expected);
  check_close(run_op(MatMul{true, true}, {a_t, b_t})[0], expected);
}

TEST_CASE("group norm leaves mean 0 and variance 1 in every group and reports its statistics") {
  const Shape shape{2, 3, 5, 6};
  const int groups = 2;
  const Tensor x = random_tensor("x", shape);
  const std::vector<Tensor> out = run_op(GroupNorm{.groups = groups, .eps = 0}, {x});
  const auto y = out[0].data<double>(), stats = out[1].data<double>(), in = x.data<double>();
  for (int b = 0; b < 2; ++b) {
    for (int group = 0; group < groups; ++group) {
      double sum = 0, squares = 0, in_sum = 0;
      for (int i = 0; i < 15; ++i) {
        for (int c = group * 3; c < group * 3 + 3; ++c) {
          const auto index = static_cast<std::size_t>((b * 15 + i) * 6 + c);
          sum += y[index];
          squares += y[index] * y[index];
          in_sum += in[index];
        }
      }
      CHECK(std::abs(sum / 45) <= kRounding);
      CHECK(squares / 45 == Approx(1.0).epsilon(kRounding));
      CHECK(stats[static_cast<std::size_t>(2 * (b * groups + group))] == Approx(in_sum / 45).epsilon(kRounding));
    }
  }
}

TEST_CASE("group norm scales, shifts and regularises as written") {
  const Tensor x = Tensor::of<double>({1, 2, 2}, {1, 3, 5, 7});  // mean 4, variance 5
  const Tensor gamma = Tensor::of<double>({2}, {2, 3}), beta = Tensor::of<double>({2}, {10, 20});
  const double rstd = 1 / std::sqrt(5 + 4.0);
  const std::vector<Tensor> out = run_op(GroupNorm{.groups = 1, .eps = 4, .affine = true}, {x, gamma, beta});
  check_close(out[0], {10 - 6 * rstd, 20 - 3 * rstd, 10 + 2 * rstd, 20 + 9 * rstd});
  check_close(out[1], {4, rstd});
}

TEST_CASE("a fused group norm equals the chain of ops it stands for") {
  const Shape shape{2, 3, 4, 6};
  Graph graph;
  std::vector<Value> in;
  Bindings bindings;
  for (const char* name : {"x", "gamma", "beta", "scale", "addend", "residual"}) {
    const Shape own = in.size() == 1 || in.size() == 2 ? Shape{6} : in.size() == 3 ? Shape{2, 1, 1, 6} : shape;
    in.push_back(graph.input(name, {DType::f32, own}, Rate::batch));
    bindings[name] = random_tensor(name, own);
  }
  const GroupNorm fused{.groups = 3,
                        .affine = true,
                        .has_scale = true,
                        .has_addend = true,
                        .pre_relu = true,
                        .has_residual = true,
                        .post_relu = true};
  const GroupNormValues chain = group_norm(relu(in[0] * in[3] + in[4]), 3, fused.eps, in[1], in[2]);
  std::vector<Value> outputs = graph.add(fused, in);
  outputs.insert(outputs.end(), {relu(chain.y + in[5]), chain.stats});
  ReferenceBackend backend;
  const std::vector<Tensor> results = interpret(graph, outputs, bindings, backend);
  check_close(results[0], doubles(results[2]));
  check_close(results[1], doubles(results[3]));
}

TEST_CASE("batch norm normalises each channel over batch and positions") {
  const Tensor x = Tensor::of<double>({2, 2, 2}, {1, 10, 3, 10, 5, 30, 7, 30});
  const std::vector<Tensor> out = run_op(BatchNorm{.eps = 0}, {x});
  check_close(out[1], {4, 20});
  check_close(out[2], {5, 100});
  const double r = 1 / std::sqrt(5.0);
  check_close(out[0], {-3 * r, -1, -r, -1, r, 1, 3 * r, 1});
}

TEST_CASE("resizing gives the known values") {
  const Tensor x = Tensor::of<double>({1, 1, 2, 1}, {0, 3});
  const auto row = [&](ResizeMode mode, std::int64_t width, bool align) {
    return run_op(Resize{mode, 1, width, align}, {x})[0];
  };
  check_close(row(ResizeMode::nearest, 4, false), {0, 0, 3, 3});
  check_close(row(ResizeMode::nearest, 3, false), {0, 0, 3});
  check_close(row(ResizeMode::bilinear, 4, true), {0, 1, 2, 3});
  // Half-pixel centres: positions -0.25 (clamped), 0.25, 0.75, 1.25 (clamped).
  check_close(row(ResizeMode::bilinear, 4, false), {0, 0.75, 2.25, 3});
  const Tensor square = Tensor::of<double>({1, 2, 2, 1}, {0, 2, 4, 6});
  check_close(run_op(Resize{ResizeMode::bilinear, 3, 3, true}, {square})[0], {0, 1, 2, 2, 3, 4, 4, 5, 6});
}

TEST_CASE("the gradients of resizing and pooling are their transposes") {
  const Shape shape{2, 5, 4, 3};
  const Tensor x = random_tensor("x", shape);
  const auto check_transpose = [&](const Op& forward, const Op& backward) {
    const Tensor y = run_op(forward, {x})[0];
    const Tensor g = random_tensor("g", y.shape());
    CHECK(inner_product(y, g) == Approx(inner_product(x, run_op(backward, {g})[0])).epsilon(kRounding));
  };
  for (const bool align : {false, true}) {
    check_transpose(Resize{ResizeMode::bilinear, 7, 3, align}, ResizeGrad{ResizeMode::bilinear, 5, 4, align});
  }
  check_transpose(Resize{ResizeMode::nearest, 3, 9, false}, ResizeGrad{ResizeMode::nearest, 5, 4, false});
  check_transpose(AvgPool{3, 2, 1}, AvgPoolGrad{{3, 2, 1}, 5, 4});
}

TEST_CASE("average pooling divides by the whole window, padding included") {
  const Tensor x = counting({1, 2, 2, 1});
  check_close(run_op(AvgPool{2, 2, 0}, {x})[0], {2.5});
  check_close(run_op(AvgPool{2, 2, 1}, {x})[0], {0.25, 0.5, 0.75, 1});
}

TEST_CASE("max pooling reports the first of equal maxima and padding never wins") {
  const Tensor x = Tensor::of<double>({1, 2, 4, 1}, {-1, -5, 2, 2, -3, -4, 2, 0});
  const std::vector<Tensor> out = run_op(MaxPool{2, 2, 0}, {x});
  check_close(out[0], {-1, 2});
  CHECK(out[1].data<std::int32_t>()[0] == 0);
  CHECK(out[1].data<std::int32_t>()[1] == 2);
  const Tensor negative = Tensor::of<double>({1, 1, 1, 1}, {-7});
  check_close(run_op(MaxPool{3, 1, 1}, {negative})[0], {-7});
}

TEST_CASE("winners gather what max pooling found and scatter where windows overlap") {
  const Tensor x = Tensor::of<double>({1, 1, 3, 1}, {1, 5, 2});
  const std::vector<Tensor> pooled = run_op(MaxPool{1, 1, 0}, {x});
  check_close(run_op(WinnerGather{}, {x, pooled[1]})[0], {1, 5, 2});
  const Tensor winner = Tensor::of<std::int32_t>({1, 1, 2, 1}, {1, 1});
  const Tensor g = Tensor::of<double>({1, 1, 2, 1}, {10, 20});
  check_close(run_op(WinnerScatter{1, 3}, {g, winner})[0], {0, 30, 0});
}

TEST_CASE("shape ops put every element where NumPy does") {
  const Tensor x = counting({2, 3}, 0);
  check_close(run_op(Transpose{{1, 0}}, {x})[0], {0, 3, 1, 4, 2, 5});
  check_close(run_op(Concat{1}, {x, counting({2, 1}, 10)})[0], {0, 1, 2, 10, 3, 4, 5, 11});
  check_close(run_op(Slice{1, 1, 3}, {x})[0], {1, 2, 4, 5});
  check_close(run_op(Pad{0, 1, 0}, {x})[0], {0, 0, 0, 0, 1, 2, 3, 4, 5});
  check_close(run_op(BroadcastTo{{2, 2}}, {counting({2, 1})})[0], {1, 1, 2, 2});
  check_close(run_op(Sum{{0}, false}, {x})[0], {3, 5, 7});
  check_close(run_op(Sum{{1}, true}, {x})[0], {3, 12});
  check_close(run_op(Binary{BinaryFn::sub}, {x, Tensor::of<double>({3}, {0, 1, 2})})[0], {0, 0, 0, 3, 3, 3});
}

TEST_CASE("packing and equilibrium nodes have no kernel on the reference and say so") {
  ReferenceBackend backend;
  const std::vector<TensorType> types{{DType::f32, {1}}};
  const std::vector<std::uint8_t> used{1};
  for (const Op& op : {Op{PackWeights{}}, Op{ConvBlock{}}, Op{GroupNormPair{}}, Op{Equilibrium{}},
                       Op{ImplicitGradient{}}, Op{LinearSolve{}}, Op{StandIn{}}}) {
    CHECK_THROWS_AS((void)backend.lower({op, types, types, used, "stem"}), Error);
  }
}

TEST_CASE("an output that nobody reads may be null") {
  ReferenceBackend backend;
  const Op op = GroupNorm{};
  const std::vector<TensorType> in{{DType::f32, {1, 2}}}, out{{DType::f32, {1, 2}}, {DType::f32, {1, 1, 2}}};
  const std::vector<std::uint8_t> used{1, 0};
  const auto kernel = backend.lower({op, in, out, used, ""});
  const Doubles x{1, 3};
  Doubles y(2);
  kernel->bind(std::vector<const void*>{x.data()}, std::vector<void*>{y.data(), nullptr}, nullptr);
  kernel->run();
  CHECK(y[1] == Approx(1 / std::sqrt(1 + 1e-5)));
}
