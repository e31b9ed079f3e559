#include "core/composed.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "core/builder.h"
#include "core/cpu/backend.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "tests/op_cases/emulated_cuda.h"

using namespace deq;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

using Values = std::vector<float>;

/// Whether `found` is `wanted` to `epsilon`, relative; inf and nan exactly.
bool is_near(float found, double wanted, double epsilon = 1e-6) {
  if (std::isnan(wanted)) return std::isnan(found);
  if (std::isinf(wanted) || wanted == 0.0) return found == static_cast<float>(wanted);
  return std::abs(found - wanted) <= epsilon * std::abs(wanted);
}

/// `build` of inputs like `operands`, on every backend that a test can have.
template <class Build>
void expect(const std::vector<Tensor>& operands, const Values& wanted, const Build& build) {
  ReferenceBackend reference;
  CpuBackend cpu;
  tests::EmulatedCuda cuda;
  for (Backend* backend :
       {static_cast<Backend*>(&reference), static_cast<Backend*>(&cpu), static_cast<Backend*>(&cuda)}) {
    Graph graph;
    std::vector<Value> inputs;
    for (const Tensor& operand : operands)
      inputs.push_back(graph.input(concat("x", inputs.size()), operand.type(), Rate::batch));
    const Value y = build(inputs);
    Program program = Program::compile(graph, {y}, *backend);
    for (std::size_t i = 0; i < operands.size(); ++i) program.bind(inputs[i], operands[i]);
    program.run();
    const Tensor result = program.read(y);
    REQUIRE(result.shape().elements() == static_cast<std::int64_t>(wanted.size()));
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      CAPTURE(i);
      CAPTURE(result.data<float>()[i]);
      CHECK(is_near(result.data<float>()[i], static_cast<double>(wanted[i])));
    }
  }
}

Tensor row(const Values& values) { return Tensor::of<float>({static_cast<std::int64_t>(values.size())}, values); }

}  // namespace

TEST_CASE("operators take a number on either side") {
  const std::vector<Tensor> x{row({0.25F, -4.0F})};
  expect(x, {0.75F, 5.0F}, [](const auto& in) { return 1.0 - in[0]; });
  expect(x, {2.25F, -2.0F}, [](const auto& in) { return 2.0 + in[0]; });
  expect(x, {4.0F, -0.25F}, [](const auto& in) { return 1.0 / in[0]; });
  expect(x, {12.0F, -0.75F}, [](const auto& in) { return 3.0 / in[0]; });
  expect(x, {0.125F, -2.0F}, [](const auto& in) { return in[0] / 2.0; });
}

TEST_CASE("maximum and minimum are exact, between infinities too, and keep nan") {
  const std::vector<Tensor> ab{row({1, 0.1F, -kInfinity, kInfinity, kNan, 2, kInfinity, -1e-30F}),
                               row({2, -3e8F, -kInfinity, kInfinity, 1, kNan, -kInfinity, -1e30F})};
  expect(ab, {2, 0.1F, -kInfinity, kInfinity, kNan, kNan, kInfinity, -1e-30F},
         [](const auto& in) { return maximum(in[0], in[1]); });
  expect(ab, {1, -3e8F, -kInfinity, kInfinity, kNan, kNan, -kInfinity, -1e30F},
         [](const auto& in) { return minimum(in[0], in[1]); });
}

TEST_CASE("where_positive shows nothing of what it does not choose") {
  const std::vector<Tensor> operands{row({1, -1, 0, kNan}), row({5, kNan, kInfinity, kNan}), row({kNan, 6, 7, 8})};
  expect(operands, {5, 6, 7, 8}, [](const auto& in) { return where_positive(in[0], in[1], in[2]); });
}

TEST_CASE("clamp leaves what is within its bounds as it is") {
  const Values x{-kInfinity, -2, -1, 0.123456789F, 1e4F, 2e4F, kInfinity, kNan};
  expect({row(x)}, {-1, -1, -1, 0.123456789F, 1e4F, 1e4F, 1e4F, kNan},
         [](const auto& in) { return clamp(in[0], -1.0, 1e4); });
  expect({row(x)}, {0, 0, 0, 0.123456789F, 1e4F, 2e4F, kInfinity, kNan},
         [](const auto& in) { return clamp(in[0], 0.0, std::numeric_limits<double>::infinity()); });
}

TEST_CASE("silu and softplus stand large numbers") {
  const Values x{-1e30F, -1000, -1, 0, 1, 100, 1e30F, kNan};
  expect({row(x)}, {0, 0, -0.26894142F, 0, 0.73105858F, 100, 1e30F, kNan}, [](const auto& in) { return silu(in[0]); });
  expect({row(x)}, {0, 0, 0.31326169F, 0.69314718F, 1.3132617F, 100, 1e30F, kNan},
         [](const auto& in) { return softplus(in[0]); });
}

TEST_CASE("softmax and its logarithm stand logits of any size") {
  const Tensor logits =
      Tensor::of<float>({2, 2, 3}, Values{1, 2, 3, 1e4F, 0, -1e4F, -kInfinity, 0.5F, 0.5F, kNan, 0, 1});
  expect({logits}, {0.09003057F, 0.24472847F, 0.66524096F, 1, 0, 0, 0, 0.5F, 0.5F, kNan, kNan, kNan},
         [](const auto& in) { return softmax(in[0]); });
  expect({logits},
         {-2.4076060F, -1.4076060F, -0.40760596F, 0, -1e4F, -2e4F, -kInfinity, -0.69314718F, -0.69314718F, kNan, kNan,
          kNan},
         [](const auto& in) { return log_softmax(in[0]); });
}

TEST_CASE("sine and cosine are exact for angles of any size") {
  const Values x{0, 0.5F, -1.5F, 100, -31415.926F, kInfinity, kNan};
  Values sines, cosines;
  for (const float angle : x) {
    sines.push_back(static_cast<float>(std::sin(static_cast<double>(angle))));
    cosines.push_back(static_cast<float>(std::cos(static_cast<double>(angle))));
  }
  expect({row(x)}, sines, [](const auto& in) { return sin(in[0]); });
  expect({row(x)}, cosines, [](const auto& in) { return cos(in[0]); });
}

TEST_CASE("max and min reduce any axes and keep nan") {
  const Tensor x = Tensor::of<float>({2, 3, 2}, Values{1, 8, 5, -2, 3, 4, -kInfinity, -9, kNan, 7, 0, -3});
  expect({x}, {5, 8, kNan, 7}, [](const auto& in) { return max(in[0], {1}); });
  expect({x}, {8, 5, 4, -9, kNan, 0}, [](const auto& in) { return max(in[0], {-1}); });
  expect({x}, {1, 8, kNan, 7, 3, 4}, [](const auto& in) { return max(in[0], {0}); });
  expect({x}, {-kInfinity, -9, kNan, -2, 0, -3}, [](const auto& in) { return min(in[0], {0}); });
  expect({x}, {8, kNan}, [](const auto& in) { return max(in[0], {2, 1}, true); });
  expect({x}, {kNan, 8}, [](const auto& in) { return max(in[0], {1, 0}); });
  expect({row({3, 1, 2})}, {1}, [](const auto& in) { return min(in[0]); });
  expect({row({4})}, {4}, [](const auto& in) { return max(sum(in[0])); });

  Graph graph;
  const Value y = graph.input("y", {DType::f32, {2, 3, 2}}, Rate::batch);
  CHECK(max(y, {0, 2}, true).shape() == Shape{1, 3, 1});
  CHECK(max(y, {0, 2}).shape() == Shape{3});
  CHECK(min(y).shape() == Shape{});
}

TEST_CASE("cumsum adds up along its axis") {
  const Tensor x = Tensor::of<float>({2, 5}, Values{1, 2, 3, 4, 5, -1, 0, kInfinity, 2, kNan});
  expect({x}, {1, 3, 6, 10, 15, -1, -1, kInfinity, kInfinity, kNan}, [](const auto& in) { return cumsum(in[0], 1); });
  expect({row({1, 2})}, {1, 3}, [](const auto& in) { return cumsum(in[0], -1); });
  expect({row({7})}, {7}, [](const auto& in) { return cumsum(in[0], 0); });
}

TEST_CASE("stack makes an axis and split cuts one") {
  const std::vector<Tensor> ab{row({1, 2, 3}), row({4, 5, 6})};
  expect(ab, {1, 2, 3, 4, 5, 6}, [](const auto& in) { return stack(in); });
  expect(ab, {1, 4, 2, 5, 3, 6}, [](const auto& in) { return stack(in, -1); });
  const Tensor x = Tensor::of<float>({2, 4}, Values{1, 2, 3, 4, 5, 6, 7, 8});
  expect({x}, {3, 4, 7, 8}, [](const auto& in) { return split(in[0], -1, 2)[1]; });
  expect({x}, {1, 2, 3, 4}, [](const auto& in) { return split(in[0], 0, 2)[0]; });
}

TEST_CASE("functions that reduce, stack and split refuse what has no meaning") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {2, 3}}, Rate::batch);
  const Value none = graph.input("none", {DType::f32, {3, 0}}, Rate::batch);
  CHECK_THROWS_WITH_AS((void)max(x, {2}), "max: f32[2,3] has no axis 2", Error);
  CHECK_THROWS_WITH_AS((void)min(x, {1, -1}), "min: axis -1 is named twice", Error);
  CHECK_THROWS_WITH_AS((void)max(none, {1}), "max: f32[3,0] has nothing to choose from", Error);
  CHECK_THROWS_WITH_AS((void)cumsum(x, -3), "cumsum: f32[2,3] has no axis -3", Error);
  CHECK_THROWS_WITH_AS((void)stack({}), "stack: needs at least one part", Error);
  CHECK_THROWS_WITH_AS((void)stack({x, none}), "stack: a part is f32[3,0] and another f32[2,3]", Error);
  CHECK_THROWS_WITH_AS((void)stack({x}, 3), "stack: parts f32[2,3] have no place for a new axis 3", Error);
  CHECK_THROWS_WITH_AS((void)split(x, 1, 2), "split: f32[2,3] cannot be cut into 2 equal parts along axis 1", Error);
  CHECK_THROWS_AS((void)split(x, 1, 0), Error);
  CHECK_THROWS_WITH_AS((void)max(Value{}), doctest::Contains("max: an empty value"), Error);
  CHECK_THROWS_WITH_AS((void)min(Value{}), doctest::Contains("min: an empty value"), Error);
  CHECK_THROWS_WITH_AS((void)stack({x, Value{}}), doctest::Contains("stack: an empty value"), Error);
}

TEST_CASE("functions of several nodes refuse what has no meaning") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {2}}, Rate::batch);
  CHECK_THROWS_WITH_AS((void)clamp(x, 1.0, 0.0), "clamp: the bounds are 1 and 0, of which the first must not be larger",
                       Error);
  CHECK_THROWS_AS((void)clamp(x, kNan, 0.0), Error);
  CHECK_THROWS_WITH_AS((void)softmax(sum(x)), "softmax: needs a last axis with elements, got f32[]", Error);
  CHECK_THROWS_WITH_AS((void)log_softmax(sum(x)), "log_softmax: needs a last axis with elements, got f32[]", Error);
  CHECK_THROWS_WITH_AS((void)softmax(graph.input("none", {DType::f32, {3, 0}}, Rate::batch)),
                       doctest::Contains("got f32[3,0]"), Error);
  CHECK_THROWS_WITH_AS((void)softmax(Value{}), doctest::Contains("softmax: an empty value"), Error);
  CHECK_THROWS_WITH_AS((void)clamp(Value{}, 0.0, 1.0), doctest::Contains("clamp: an empty value"), Error);
  CHECK_THROWS_WITH_AS((void)where_positive(Value{}, x, x), doctest::Contains("where_positive: an empty value"), Error);
}
