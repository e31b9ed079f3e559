#include "core/graph.h"

#include <doctest/doctest.h>

#include <functional>

#include "core/builder.h"

using namespace deq;

namespace {

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("equal operations on equal operands are one node") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {2, 3}}, Rate::batch);
  CHECK(relu(x) == relu(x));
  CHECK(relu(x) != tanh(x));
  CHECK(x + 1.0 != x + 2.0);
  const NodeId size = graph.size();
  (void)relu(x);
  CHECK(graph.size() == size);
}

TEST_CASE("a node takes the fastest rate of its operands") {
  Graph graph;
  const Value w = graph.parameter("w", std::make_shared<Tensor>(DType::f32, Shape{4}));
  const Value x = graph.input("x", {DType::f32, {4}}, Rate::batch);
  const Value z = graph.input("z", {DType::f32, {4}}, Rate::iterate);
  const Value v = graph.input("v", {DType::f32, {4}}, Rate::cotangent);
  CHECK(graph.rate(constant(graph, 1.0).ref) == Rate::constant);
  CHECK(graph.rate((w * w).ref) == Rate::step);
  CHECK(graph.rate((w * x).ref) == Rate::batch);
  CHECK(graph.rate((w * x + z).ref) == Rate::iterate);
  CHECK(graph.rate((v * relu(z)).ref) == Rate::cotangent);
}

TEST_CASE("a shape error names the operation, the operands and the layer") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {8, 32, 32, 3}}, Rate::batch);
  const Value w = graph.input("w", {DType::f32, {32, 16, 3, 3}}, Rate::step);
  const std::string message = message_of([&] {
    const Scope outer(graph, "stem");
    const Scope inner(graph, "conv1");
    (void)conv2d(x, w, {.pad = 1});
  });
  CHECK(message ==
        "conv2d: input has 3 channels but weight expects 16 (operands f32[8,32,32,3] f32[32,16,3,3], layer "
        "'stem.conv1')");
}

TEST_CASE("a scope ends with its block") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {2}}, Rate::batch);
  {
    const Scope scope(graph, "inside");
    CHECK(graph.node(relu(x).ref).label == "inside");
  }
  CHECK(graph.node(tanh(x).ref).label.empty());
}

TEST_CASE("the same storage is the same parameter") {
  Graph graph;
  const auto storage = std::make_shared<Tensor>(DType::f32, Shape{3});
  CHECK(graph.parameter("a", storage) == graph.parameter("a", storage));
  CHECK(graph.storage(graph.parameter("a", storage).ref.node) == storage);
}

TEST_CASE("equal constant arrays are one value that nothing changes") {
  Graph graph;
  Tensor mask = Tensor::of<float>({2}, std::vector<float>{0, -1e9F});
  const Value first = constant(graph, mask);
  CHECK(constant(graph, Tensor::of<float>({2}, std::vector<float>{0, -1e9F})) == first);
  CHECK(constant(graph, Tensor::of<float>({1, 2}, std::vector<float>{0, -1e9F})) != first);
  CHECK(constant(graph, Tensor::of<float>({2}, std::vector<float>{-0.0F, -1e9F})) != first);
  CHECK(constant(graph, Tensor::of<std::int32_t>({2}, std::vector<std::int32_t>{0, 1})).type() ==
        TensorType{DType::i32, {2}});
  mask.data<float>()[1] = 7;  // of the caller's tensor, not of the value
  CHECK(graph.storage(first.ref.node)->data<float>()[1] == -1e9F);
  CHECK(message_of([&] { (void)constant(graph, Tensor()); }) == "constant: the array is an empty tensor");
  CHECK(message_of([&] { graph.assign(first, first * 2.0); }).find("never changes") != std::string::npos);
}

TEST_CASE("misuse is refused with a reason") {
  Graph graph, other;
  const Value x = graph.input("x", {DType::f32, {2}}, Rate::batch);
  const Value y = other.input("y", {DType::f32, {2}}, Rate::batch);
  CHECK(message_of([&] { (void)graph.input("x", {DType::f32, {2}}, Rate::batch); }) == "input: the name 'x' is taken");
  CHECK(message_of([&] { (void)(x + y); }).find("belongs to another graph") != std::string::npos);
  CHECK(message_of([&] { (void)(x + Value{}); }).find("empty value") != std::string::npos);
  CHECK(message_of([&] { (void)graph.find("nothing"); }).find("'nothing'") != std::string::npos);
  CHECK(message_of([&] { graph.parameter("w", std::make_shared<Tensor>()); }).find("'w' is an empty tensor") !=
        std::string::npos);
  CHECK(message_of([&] { graph.assign(x, x); }).find("not a parameter") != std::string::npos);
  CHECK(message_of([&] { graph.parameter("x", std::make_shared<Tensor>(DType::f32, Shape{2})); }) ==
        "parameter: the name 'x' is taken in this graph; models that share one are built in scopes with prefixes of "
        "their "
        "own");
}

TEST_CASE("a shape refuses axes that it does not have and more elements than can be counted") {
  const Shape shape{2, 3};
  CHECK(shape[-2] == 2);
  for (const int axis : {2, 7, -3}) {
    CHECK(message_of([&] { (void)shape[axis]; }) == concat("shape: [2,3] has no axis ", axis));
    CHECK(message_of([&] { (void)shape.with(axis, 1); }) == concat("shape: [2,3] has no axis ", axis));
  }
  constexpr std::int64_t kMany = std::int64_t{1} << 40;
  CHECK(message_of([&] {
          (void)Shape{kMany, kMany};
        }) == "shape: [1099511627776,1099511627776] has more elements than can be counted");
  CHECK_THROWS_AS((void)(Shape{kMany, 1}.with(1, kMany)), Error);
  CHECK_THROWS_AS((void)(Shape{kMany, kMany, 0}), Error);  // empty, but not to be counted from the left
  CHECK(Shape{0, kMany}.elements() == 0);
  CHECK(TensorType{DType::f64, {kMany, 1 << 19}}.bytes() == std::size_t{1} << 62);
}

TEST_CASE("an axis that does not exist is reported as it was given") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {2, 3, 4}}, Rate::batch);
  const auto reports = [&](int axis, const auto& apply) {
    return message_of(apply).find(concat("axis ", axis, " is out of range")) != std::string::npos;
  };
  for (const int axis : {-9, -4, 3}) {
    CAPTURE(axis);
    CHECK(reports(axis, [&] { (void)sum(x, {axis}); }));
    CHECK(reports(axis, [&] { (void)mean(x, {0, axis}); }));
    CHECK(reports(axis, [&] { (void)concat({x, x}, axis); }));
    CHECK(reports(axis, [&] { (void)slice(x, axis, 0, 1); }));
    CHECK(reports(axis, [&] { (void)pad(x, axis, 1, 0); }));
  }
  CHECK(sum(x, {-1}) == sum(x, {2}));
  CHECK(message_of([&] { (void)concat({x}, 3); }) == "concat: axis 3 is out of range (operands f32[2,3,4])");
  CHECK(concat({x}, -1) == x);
}

TEST_CASE("functions of images name themselves when they are given something else") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {2, 3}}, Rate::batch);
  CHECK(message_of([&] { (void)upsample_nearest(x, 2); }) == "upsample_nearest: needs images [B,H,W,C], got f32[2,3]");
  CHECK(message_of([&] { (void)global_avg_pool(x); }) == "global_avg_pool: needs images [B,H,W,C], got f32[2,3]");
}

TEST_CASE("a reshape finds the extent that is -1") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {2, 3, 4}}, Rate::batch);
  CHECK(reshape(x, {-1, 4}).shape() == Shape{6, 4});
  CHECK(reshape(x, {2, -1, 2}).shape() == Shape{2, 6, 2});
  CHECK(reshape(x, {-1}) == reshape(x, {24}));
  CHECK(reshape(x, {24, -1}).shape() == Shape{24, 1});
  CHECK(message_of([&] {
          (void)reshape(x, {5, -1});
        }) == "reshape: f32[2,3,4] leaves no extent for the -1 beside [5,1]");
  CHECK_THROWS_AS((void)reshape(x, {0, -1}), Error);
  CHECK_THROWS_AS((void)reshape(x, {-1, -1}), Error);
  CHECK_THROWS_AS((void)reshape(x, {-2, 12}), Error);
  CHECK(message_of([&] { (void)reshape(Value{}, {-1}); }).find("reshape: an empty value") == 0);
}

TEST_CASE("a matrix serves all leading axes of the other factor") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {2, 3, 4, 5}}, Rate::batch);
  const Value w = graph.input("w", {DType::f32, {5, 7}}, Rate::step);
  CHECK(matmul(x, w).shape() == Shape{2, 3, 4, 7});
  CHECK(matmul(transpose(x, {0, 1, 3, 2}), w, true).shape() == Shape{2, 3, 4, 7});
  CHECK_THROWS_AS((void)matmul(x, w, false, true), Error);
  CHECK_THROWS_AS((void)matmul(w, x), Error);  // the other way round is not meant
  CHECK(message_of([&] { (void)matmul(x, Value{}); }).find("matmul: an empty value") == 0);
}

TEST_CASE("messages are added at rows that exist") {
  Graph graph;
  const Value messages = graph.input("messages", {DType::f32, {3, 2}}, Rate::batch);
  const Value index = graph.input("index", {DType::i32, {3}}, Rate::batch);
  CHECK(scatter_add(messages, index, 5).shape() == Shape{5, 2});
  CHECK_THROWS_AS((void)scatter_add(messages, messages, 5), Error);
  CHECK_THROWS_AS((void)scatter_add(messages, index, -1), Error);
  CHECK_THROWS_AS((void)scatter_add(index, index, 5), Error);
}

TEST_CASE("shape rules refuse operands that do not fit") {
  Graph graph;
  const Value image = graph.input("image", {DType::f32, {2, 5, 7, 6}}, Rate::batch);
  const Value row = graph.input("row", {DType::f32, {2, 6}}, Rate::batch);
  const Value label = graph.input("label", {DType::i32, {3}}, Rate::batch);
  CHECK_THROWS_AS((void)(image + label), Error);
  CHECK_THROWS_AS((void)(image + graph.input("odd", {DType::f32, {4}}, Rate::batch)), Error);
  CHECK_THROWS_AS((void)matmul(row, row), Error);
  CHECK_THROWS_AS((void)group_norm(image, 4, 1e-5), Error);
  CHECK_THROWS_AS((void)reshape(row, {5}), Error);
  CHECK_THROWS_AS((void)slice(row, 1, 4, 9), Error);
  CHECK_THROWS_AS((void)transpose(row, {0, 0}), Error);
  CHECK_THROWS_AS((void)softmax_cross_entropy(row, label), Error);
  const Value sequences = graph.input("sequences", {DType::f32, {2, 3, 4}}, Rate::batch);
  CHECK_THROWS_WITH((void)softmax_cross_entropy(sequences, graph.input("turned", {DType::i32, {3, 2}}, Rate::batch)),
                    doctest::Contains("need one label for each row, got i32[3,2]"));
  CHECK_THROWS_AS((void)softmax_cross_entropy(sequences, label), Error);
  CHECK_THROWS_AS((void)max_pool(image, {.kernel = 9, .stride = 1, .pad = 0}), Error);
  CHECK_THROWS_AS((void)broadcast_to(row, {3, 6}), Error);
  CHECK_THROWS_AS((void)concat({row, image}, 0), Error);
  CHECK_THROWS_AS((void)graph.add_one(UpsampleSum{10, 15}, {image}), Error);
}
