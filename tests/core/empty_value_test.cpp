#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "core/builder.h"
#include "core/interpreter.h"
#include "core/reference/backend.h"

using namespace deq;

namespace {

struct Use {
  std::string name;
  std::function<void()> run;
};

void expect_named(const std::vector<Use>& uses) {
  for (const Use& use : uses) {
    CAPTURE(use.name);
    try {
      use.run();
      FAIL_CHECK("took the empty value");
    } catch (const Error& error) {
      CHECK(std::string(error.what()).starts_with(use.name + ": an empty value: "));
    }
  }
}

}  // namespace

TEST_CASE("operations on an empty value name themselves") {
  const Value none;
  expect_named({{"relu", [&] { (void)relu(none); }},
                {"gelu", [&] { (void)gelu(none); }},
                {"tanh", [&] { (void)deq::tanh(none); }},
                {"mul", [&] { (void)square(none); }},
                {"add", [&] { (void)(none + none); }},
                {"relu_grad", [&] { (void)relu_grad(none, none); }},
                {"affine", [&] { (void)(none * 2.0); }},
                {"affine", [&] { (void)(none * 1.0); }},
                {"copy", [&] { (void)copy(none); }},
                {"conv2d", [&] { (void)conv2d(none, none); }},
                {"conv2d_input_grad", [&] { (void)conv2d_input_grad(none, none, {}, 3, 3); }},
                {"conv2d_weight_grad", [&] { (void)conv2d_weight_grad(none, none, {}, 3, 3); }},
                {"matmul", [&] { (void)matmul(none, none); }},
                {"group_norm", [&] { (void)group_norm(none, 2, 1e-5); }},
                {"batch_norm", [&] { (void)batch_norm(none, 1e-5); }},
                {"resize", [&] { (void)resize(none, {.height = 2, .width = 2}); }},
                {"upsample_nearest", [&] { (void)upsample_nearest(none, 2); }},
                {"avg_pool", [&] { (void)avg_pool(none, {}); }},
                {"max_pool", [&] { (void)max_pool(none, {}); }},
                {"global_avg_pool", [&] { (void)global_avg_pool(none); }},
                {"gather", [&] { (void)gather(none, none); }},
                {"one_hot", [&] { (void)one_hot(none, 3); }},
                {"softmax_cross_entropy", [&] { (void)softmax_cross_entropy(none, none); }}});
}

TEST_CASE("changes of an empty value's shape name themselves") {
  const Value none;
  expect_named({{"reshape", [&] { (void)reshape(none, {1}); }},
                {"flatten", [&] { (void)flatten(none); }},
                {"transpose", [&] { (void)transpose(none, {0}); }},
                {"concat", [&] { (void)concat({none}, 0); }},
                {"concat",
                 [&] {
                   (void)concat({none, none}, -1);
                 }},
                {"slice", [&] { (void)slice(none, 0, 0, 1); }},
                {"slice", [&] { (void)slice(none, -1, 0, 1); }},
                {"pad", [&] { (void)pad(none, -1, 0, 1); }},
                {"broadcast_to", [&] { (void)broadcast_to(none, {1}); }},
                {"sum", [&] { (void)sum(none); }},
                {"mean", [&] { (void)mean(none); }},
                {"sum_to", [&] { (void)sum_to(none, {}); }},
                {"value", [&] { (void)none.shape(); }}});
}

TEST_CASE("an empty operand beside another one names the operation and the layer") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {2}}, Rate::batch);
  const Scope scope(graph, "head");
  CHECK_THROWS_WITH_AS((void)(x + Value{}), doctest::Contains("(layer 'head')"), Error);
  CHECK_THROWS_WITH_AS((void)(x + Value{}), doctest::Contains("add: an empty value"), Error);
}

TEST_CASE("an empty output is not evaluated") {
  Graph graph;
  (void)graph.input("x", {DType::f32, {2}}, Rate::batch);
  ReferenceBackend backend;
  CHECK_THROWS_WITH_AS((void)interpret(graph, std::vector{Value{}}, {}, backend),
                       doctest::Contains("interpret: an empty value"), Error);
}

TEST_CASE("a norm takes its weight and its bias together") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {2, 4}}, Rate::batch);
  const Value row = graph.input("row", {DType::f32, {4}}, Rate::batch);
  CHECK_THROWS_WITH_AS((void)group_norm(x, 2, 1e-5, {}, row), doctest::Contains("both given or both empty"), Error);
  CHECK_THROWS_WITH_AS((void)batch_norm(x, 1e-5, {}, row), doctest::Contains("both given or both empty"), Error);
}
